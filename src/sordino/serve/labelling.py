"""Labels with a model in the loop: search by example, confirm or reject, and the head learns anew each time.

States of the folder are there already (`heard.py`), so a head is one logistic regression for each tag, of the songs
that were confirmed against those that were rejected: convex, without a seed, done in milliseconds.

Papers: Lewis and Gale, A sequential algorithm for training text classifiers, 1994, arXiv cmp-lg/9407020 (ask for what
is unsure). Kim and Pardo, A human-in-the-loop system for sound event detection and annotation, 2018 (search by
example, then confirm or reject).
Differs: nothing is trained but the linear head, so that nobody waits.

Conventions: a song is confirmed (True) or rejected (False) for a tag, or nothing is said of it: then it takes no part.
A song counts once, however many segments it has; confirmed and rejected ones weigh the same in all.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float
from scipy.optimize import minimize
from scipy.special import expit

from sordino import audio
from sordino.adapter_file import save_adapter
from sordino.files import write_text
from sordino.inference import Wave
from sordino.model import Model
from sordino.petl import make_method
from sordino.results import to_csv
from sordino.serve.heard import HEAD, Ear, Heard
from sordino.tasks import make_task

PENALTY = 0.03  # of squared weights, where each value of a vector has deviation 1
FOLDS = 5
LABELS, ADAPTER = "labels.csv", "labels.adapter"
SAID = {True: "yes", False: "no"}

Example = int | Float[np.ndarray, "segment dim"]
Linear = tuple[np.ndarray, float]  # weights [dim] and bias


class Labelling:
    """One person's labels of a folder, and what was learned from them.

    Args:
        heard: the folder.
        ear: what heard it.

    Attributes:
        marks: by tag, by the number of a song, whether it was confirmed.
    """

    def __init__(self, heard: Heard, ear: Ear):
        self.heard, self.ear = heard, ear
        self.marks: dict[str, dict[int, bool]] = {}
        self._heads: dict[str, Linear] = {}
        self._centre, self._scale = heard.vectors.mean(0), heard.vectors.std(0) + 1e-6
        self._normed = (heard.vectors - self._centre) / self._scale
        self._songs = _unit(heard.mean(self._normed))

    def mark(self, song: int, tag: str, is_one: bool | None) -> None:
        """Confirm (True) or reject (False) a song for a tag, or take back what was said (None).

        Raises:
            ValueError: the tag is no word, or there is no such song.
        """
        tag = tag.strip()
        if not tag or any(sign in tag for sign in ";|,\n") or tag in ("path", "tags"):
            raise ValueError(f'"{tag[:40]}" is no tag: a word or a few, without `,`, `;` and `|`')
        if not 0 <= song < len(self.heard.names):
            raise ValueError(f"there is no song {song}; the folder has {len(self.heard.names)}")
        said = self.marks.setdefault(tag, {})
        said.pop(song, None)
        if is_one is not None:
            said[song] = is_one
        self._heads.pop(tag, None)

    def similar(self, examples: Sequence[int] | Float[np.ndarray, "segment dim"]) -> Float[np.ndarray, " song"]:
        """How much each song sounds like the examples, -1 to 1 (cosine): songs of the folder, or a sound's vectors."""
        if isinstance(examples, np.ndarray):
            example = _unit(((examples - self._centre) / self._scale).mean(0))
        else:
            example = _unit(self._songs[list(examples)].mean(0))
        return self._songs @ example

    def can_learn(self, tag: str) -> bool:
        """Whether there is a song of each kind."""
        return len(set(self.marks.get(tag, {}).values())) == 2

    def probabilities(self, tag: str) -> Float[np.ndarray, " song"]:
        """Of each song, as the saved adapter gives them: the mean over its segments.

        Raises:
            ValueError: nothing can be learned yet.
        """
        return self._of_songs(self._head(tag))

    def suggest(
        self, tag: str, n: int = 10, by: Literal["likely", "unsure"] = "likely", example: Example | None = None
    ) -> list[tuple[int, float]]:
        """Songs to be asked about next, of which nothing was said, with what speaks for them.

        Args:
            tag: which.
            n: how many.
            by: the most probable ones first, or those closest to one half.
            example: what to be like, instead: a song, or the vectors of a sound.

        Returns:
            Number of a song, and its probability; while nothing can be learned, or with an example, its likeness.
        """
        said = dict(self.marks.get(tag, {}))
        confirmed = [song for song, is_one in said.items() if is_one]
        if example is None and self.can_learn(tag):
            values = self.probabilities(tag)
            order = np.argsort(np.abs(values - 0.5) if by == "unsure" else -values, kind="stable")
        else:
            examples = confirmed if example is None else [example] if isinstance(example, int) else example
            values = self.similar(examples) if len(examples) else np.zeros(len(self.heard.names))
            order = np.argsort(-values, kind="stable")
        return [
            (int(song), float(values[song]))
            for song in order
            if song not in said and not (isinstance(example, int) and song == example)
        ][:n]

    def agreement(self, tag: str) -> float | None:
        """How often a head that has not seen a song says what was said of it, mean of both kinds; None if too few."""
        said = self.marks.get(tag, {})
        kinds = [[song for song, is_one in said.items() if is_one is kind] for kind in (False, True)]
        if min(map(len, kinds)) < 2:
            return None
        n_folds = min(FOLDS, *map(len, kinds))
        right: list[list[float]] = [[], []]
        for fold in range(n_folds):
            out = {song for kind in kinds for song in kind[fold::n_folds]}
            values = self._of_songs(self._fit({song: one for song, one in said.items() if song not in out}))
            for song in out:
                right[said[song]].append(float((values[song] >= 0.5) == said[song]))
        return float(np.mean([np.mean(kind) for kind in right]))

    def excerpt(self, song: int, tag: str) -> Wave:
        """The segment of a song that speaks most for the tag, or the first while nothing is learned."""
        segments = np.flatnonzero(self.heard.songs == song)
        if self.can_learn(tag):
            segments = segments[np.argsort(-(self._normed[segments] @ self._head(tag)[0]), kind="stable")]
        rate_hz, start_s = self.ear.backbone.sample_rate_hz, float(self.heard.starts_s[segments[0]])
        return Wave(audio.read(self.heard.paths[song], rate_hz, start_s, self.ear.segment_s), rate_hz)

    def save(self, folder: str | Path) -> Path:
        """Write `labels.csv`, and `labels.adapter` with all tags that can be learned.

        Returns:
            The adapter.

        Raises:
            ValueError: nothing can be learned yet; `labels.csv` is written all the same.
        """
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        write_text(folder / LABELS, self._table(folder))
        tags = [tag for tag in sorted(self.marks) if self.can_learn(tag)]
        if not tags:
            raise ValueError(f"{folder / LABELS} is written, but no tag has a confirmed and a rejected song to learn")
        model = Model(self.ear.backbone, [make_task("tagging", tags=tags)], [make_method("probe")], HEAD)
        last: Any = model.heads["tagging"]
        with torch.no_grad():
            for number, (weight, bias) in enumerate(map(self._head, tags)):
                last.mlp[0].weight[number] = torch.from_numpy(weight / self._scale)
                last.mlp[0].bias[number] = float(bias - (weight * self._centre / self._scale).sum())
        told = {tag: self._told(tag) for tag in tags}
        about = {"origin": "Labelled with the model in the loop: " + "; ".join(f"{t}: {w}" for t, w in told.items())}
        return save_adapter(model, folder / ADAPTER, self.ear.spec, self.ear.fingerprint, self.ear.segment_s, about)

    def load(self, folder: str | Path) -> int:
        """Take back the marks of a `labels.csv` that was saved; songs that are gone are left out.

        Returns:
            How many marks.
        """
        table = Path(folder) / LABELS
        if not table.is_file():
            return 0
        numbers = {os.path.realpath(path): number for number, path in enumerate(self.heard.paths)}
        said = {word: mark for mark, word in SAID.items()}
        found = 0
        with table.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                song = numbers.get(os.path.realpath(Path(folder) / (row.get("path") or "")))
                for tag, cell in row.items():
                    if song is not None and tag not in (None, "path", "tags") and cell in said:
                        self.mark(song, tag, said[cell])
                        found += 1
        return found

    def _told(self, tag: str) -> str:
        agreement, said = self.agreement(tag), list(self.marks[tag].values())
        counts = f"{said.count(True)} confirmed, {said.count(False)} rejected"
        return counts if agreement is None else f"{counts}, {agreement:.0%} agreement in cross-validation"

    def _table(self, folder: Path) -> str:
        """A row for each song of which something was said; `tags` where it was said of every tag."""
        tags = sorted(tag for tag, said in self.marks.items() if said)
        rows: list[list[Any]] = [["path", "tags", *tags]]
        for song in sorted({song for said in self.marks.values() for song in said}):
            said = [self.marks[tag].get(song) for tag in tags]
            whole = "; ".join(tag for tag, one in zip(tags, said, strict=True) if one) or ";"  # `;`: none of them
            place = os.path.relpath(self.heard.paths[song].resolve(), folder.resolve())
            rows.append([place, None if None in said else whole, *(None if one is None else SAID[one] for one in said)])
        return to_csv(rows)

    def _head(self, tag: str) -> Linear:
        if not self.can_learn(tag):
            raise ValueError(f"{tag}: confirm one song and reject one, then there is something to learn")
        if tag not in self._heads:
            self._heads[tag] = self._fit(self.marks[tag])
        return self._heads[tag]

    def _of_songs(self, head: Linear) -> Float[np.ndarray, " song"]:
        return self.heard.mean(expit(self._normed @ head[0] + head[1]))

    def _fit(self, said: dict[int, bool]) -> Linear:
        """Logistic regression on the segments of these songs."""
        used = np.isin(self.heard.songs, list(said))
        x, songs = self._normed[used].astype(np.float64), self.heard.songs[used]
        y = np.array([said[int(song)] for song in songs])
        share = self.heard.weights[used].copy()
        for kind in (False, True):
            share[y == kind] *= 0.5 / share[y == kind].sum()

        def cost(both: np.ndarray) -> tuple[float, np.ndarray]:
            logit = x @ both[:-1] + both[-1]
            wrong = share * (expit(logit) - y)
            loss = share @ np.logaddexp(0.0, np.where(y, -logit, logit)) + PENALTY / 2 * both[:-1] @ both[:-1]
            return float(loss), np.append(x.T @ wrong + PENALTY * both[:-1], wrong.sum())

        best = minimize(cost, np.zeros(x.shape[1] + 1), jac=True, method="L-BFGS-B").x
        return best[:-1], float(best[-1])


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-9)
