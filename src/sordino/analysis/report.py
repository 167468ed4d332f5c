"""Which layer tells timbre, tone and time: a table with intervals, the likeness of layers, a picture."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sordino.analysis.likeness import canonical_correlation, cka, predicted, r_squared
from sordino.analysis.states import Heard
from sordino.files import write_with

N_RESAMPLES = 1000


@dataclass(frozen=True)
class Told:
    """How well one state tells one group of attributes.

    Attributes:
        state: its number.
        group: `timbre`, `tone` or `time`.
        r2: held-out R2, mean over the group's values.
        interval: the ends of its 95 % interval over tracks.
        correlation: held-out canonical correlation.
    """

    state: int
    group: str
    r2: float
    interval: tuple[float, float]
    correlation: float


@dataclass(frozen=True)
class Analysis:
    """What the states of a model tell.

    Attributes:
        told: a row for each state and group.
        gaps: by pair of groups, the first one's best R2 minus the second's, with its 95 % interval: is it "timbre more
            than tone and time"?
        likeness: linear CKA of each state with each, [state other].
        n_tracks: how many were heard.
    """

    told: list[Told]
    gaps: dict[str, tuple[float, float, float]]
    likeness: list[list[float]]
    n_tracks: int

    def plain(self) -> dict[str, Any]:
        """As JSON-able data."""
        return asdict(self)


def analyse(heard: Heard, other: Heard | None = None) -> Analysis:
    """Fit every state to every group of attributes.

    Args:
        heard: states and attributes of some tracks.
        other: the same tracks heard by another model, or by the same one after adaptation, for the likeness; None for
            the model itself.

    Raises:
        ValueError: there are fewer than five groups of tracks, or the other model heard others.
    """
    if other is not None and len(other.states) != len(heard.states):
        raise ValueError("the two models did not hear the same tracks")
    n_tracks, n_states, _ = heard.states.shape
    counts = _draws(heard.groups)
    told, best = [], {}
    for group, own in heard.attributes.items():
        scores = []
        for state in range(n_states):
            x = heard.states[:, state]
            fits = {name: predicted(x, y, heard.groups) for name, y in own.items()}
            r2 = np.mean([r_squared(own[name], fits[name]) for name in own])
            draws = np.array([np.mean([r_squared(own[name], fits[name], c) for name in own]) for c in counts])
            low, high = np.nanpercentile(draws, [2.5, 97.5])
            whole = np.concatenate(list(own.values()), axis=1)
            correlation = canonical_correlation(x, whole, heard.groups)
            told.append(Told(state, group, float(r2), (float(low), float(high)), correlation))
            scores.append((float(r2), draws))
        best[group] = max(scores, key=lambda pair: pair[0])
    names = list(best)
    gaps = {}
    for first, second in ((names[0], name) for name in names[1:]):
        low, high = np.nanpercentile(best[first][1] - best[second][1], [2.5, 97.5])
        gaps[f"{first} - {second}"] = (best[first][0] - best[second][0], float(low), float(high))
    others = heard.states if other is None else other.states
    likeness = [
        [cka(heard.states[:, one], others[:, two]) for two in range(others.shape[1])] for one in range(n_states)
    ]
    return Analysis(told, gaps, likeness, n_tracks)


def markdown(found: Analysis) -> str:
    """A line for each state, then the gaps."""
    groups = list(dict.fromkeys(row.group for row in found.told))
    lines = ["| state | " + " | ".join(f"{group}: R2, 95 % | correlation" for group in groups) + " |",
             "|---:" + "|---:|---:" * len(groups) + "|"]  # fmt: skip
    for state in dict.fromkeys(row.state for row in found.told):
        own = {row.group: row for row in found.told if row.state == state}
        cells = [f"{_between(own[g].r2, *own[g].interval)} | {own[g].correlation:.3f}" for g in groups]
        lines.append(f"| {state} | " + " | ".join(cells) + " |")
    lines += ["", f"{found.n_tracks} tracks, held out by group. Best state of each group:"]
    lines += [f"- {name}: {_between(*gap, sign='+')}" for name, gap in found.gaps.items()]
    return "\n".join(lines) + "\n"


def _between(value: float, low: float, high: float, sign: str = "") -> str:
    """A value with its interval; `sign`: how plus is written."""
    return f"{value:{sign}.3f} ({low:{sign}.3f} to {high:{sign}.3f})"


def side_by_side(folder: Path) -> str:
    """Tables of the `analysis.json` of several models, one for each set of tracks: the best state of each group."""
    found = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))]
    lines = []
    for data, n_tracks in dict.fromkeys((each["data"], each["n_tracks"]) for each in found):
        models = [each for each in found if each["data"] == data]
        groups = list(dict.fromkeys(row["group"] for row in models[0]["told"]))
        heads = [*groups, *models[0]["gaps"]]
        lines += [f"**{data}, {n_tracks} tracks**", ""]
        lines += [f"| model | {' | '.join(heads)} |", "|---|" + "---|" * len(heads)]
        for each in models:
            best = [max((row for row in each["told"] if row["group"] == g), key=lambda row: row["r2"]) for g in groups]
            cells = [f"{_between(row['r2'], *row['interval'])}, state {row['state']}" for row in best]
            cells += [_between(*gap, sign="+") for gap in each["gaps"].values()]
            lines.append(f"| {each['title']} | {' | '.join(cells)} |")
        lines.append("")
    return "\n".join(lines).strip()


def picture(found: Analysis, path: str | Path, title: str) -> Path:
    """R2 by state with intervals, and the likeness of states."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(9.5, 3.8), layout="constrained", width_ratios=[1.25, 1])
    for group in dict.fromkeys(row.group for row in found.told):
        own = [row for row in found.told if row.group == group]
        states = [row.state for row in own]
        (line,) = left.plot(states, [row.r2 for row in own], "o-", label=group, markersize=4)
        low, high = zip(*(row.interval for row in own), strict=True)
        left.fill_between(states, low, high, color=line.get_color(), alpha=0.15, linewidth=0)
    left.set_xlabel("hidden state (0: what enters layer 1)")
    left.set_ylabel("held-out R2 of a linear map")
    left.set_title(title, loc="left", fontsize=10)
    left.legend(frameon=False)
    left.spines[["top", "right"]].set_visible(False)
    shown = right.imshow(found.likeness, vmin=0, vmax=1, origin="lower", cmap="cividis")
    right.set_title("likeness of states (linear CKA)", loc="left", fontsize=10)
    figure.colorbar(shown, ax=right)
    write_with(path, lambda part: figure.savefig(part, dpi=150))
    plt.close(figure)
    return Path(path)


def _draws(groups: list[str], seed: int = 0) -> np.ndarray:
    """How often each track is in each resample of groups, [draw track]."""
    names, of = np.unique(np.array(groups), return_inverse=True)
    drawn = np.random.default_rng(seed).integers(0, len(names), (N_RESAMPLES, len(names)))
    return np.stack([np.bincount(row, minlength=len(names)) for row in drawn])[:, of].astype(float)
