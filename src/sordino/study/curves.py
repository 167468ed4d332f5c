"""Learning curves of a run, from its `log.jsonl`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from sordino.files import write_with


def read_log(folder: str | Path) -> list[dict[str, Any]]:
    """The validations of a run so far, each with `step`, `loss` and `validation`; None stands for what is undefined."""
    lines = (Path(folder) / "log.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    return [json.loads(line) for line in lines if line.endswith("\n")]


def draw(folder: str | Path, path: str | Path) -> Path:
    """Draw loss and validation scores over steps; the format is the path's suffix.

    Args:
        folder: of the run, finished or not.
        path: the picture.

    Raises:
        ValueError: nothing was validated yet.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    rows = read_log(folder)
    if not rows:
        raise ValueError(f"{folder}: no validation yet, so there is no curve")
    figure, (loss, score) = pyplot.subplots(1, 2, figsize=(9, 3.5), layout="constrained")
    told = [(row["step"], row["loss"]) for row in rows if row["loss"] is not None]
    loss.plot([step for step, _ in told], [value for _, value in told], marker=".", color="tab:blue")
    loss.set(xlabel="step", ylabel="training loss")
    for name in rows[-1]["validation"]:
        known = [(row["step"], row["validation"].get(name)) for row in rows]
        known = [(step, value) for step, value in known if value is not None]
        score.plot([step for step, _ in known], [value for _, value in known], marker=".", label=name)
        for best_step, _ in sorted(known, key=lambda point: -point[1])[:1]:
            score.axvline(best_step, color="0.7", linewidth=0.8)
    score.set(xlabel="step", ylabel="validation score")
    if score.lines:  # folds have no validation
        score.legend(frameon=False)
    figure.suptitle(Path(folder).name, fontsize=9)
    written = write_with(path, lambda part: figure.savefig(part, dpi=120))
    pyplot.close(figure)
    return written
