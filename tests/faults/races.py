"""Several processes at one cache, one run's folder, one study: all end well, with the same bytes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from sordino.store import Stored, row_key
from tests.faults.kills import WORK, child, content, ended, music

N_ROWS = 12


def cache_races(folder: Path, n_races: int, n_processes: int = 3, seed: int = 0) -> dict[str, int]:
    """So many times several processes want overlapping rows of one kind at once; every one must find its own."""
    rng, counts = np.random.default_rng(seed), {"races": 0, "wrong": 0}

    def wants(number: int, rows: list[int]) -> Callable[[], None]:
        def work() -> None:
            stored = Stored(
                {"race": number // 4}, [row_key(number // 4, n) for n in rows], [5] * len(rows), 3, root=folder
            )
            with stored.filling() as missing:
                for row in missing:
                    stored.put(int(row), torch.full((5, 3), float(rows[int(row)])))
            assert stored.whole.all()
            assert all(bool((stored.get(n) == float(row)).all()) for n, row in enumerate(rows))

        return work

    for number in range(n_races):
        rows = [sorted(rng.choice(N_ROWS, rng.integers(1, N_ROWS), replace=False).tolist()) for _ in range(n_processes)]
        numbers = [child(wants(number, own), folder / "cache") for own in rows]
        statuses = [ended(one) for one in numbers]
        counts["races"] += 1
        counts["wrong"] += any(statuses)
    return counts


def at_once(name: str, folder: Path, n_times: int, n_processes: int = 2) -> dict[str, int]:
    """A command started twice at the same time, so many times."""
    torch.set_num_threads(1)
    (folder / "data").mkdir()
    data, counts = music(folder / "data"), {"starts": 0, "failed": 0, "unequal": 0}
    assert ended(child(lambda: WORK[name](data, folder / "whole"), folder / "cache")) == 0
    wanted = content(folder / "whole")
    for number in range(n_times):
        out = folder / f"twice {number}"
        started = [child(lambda out=out: WORK[name](data, out), folder / f"cache {number}") for _ in range(n_processes)]
        counts["failed"] += sum(ended(one) != 0 for one in started)
        counts["starts"] += n_processes
        counts["unequal"] += content(out) != wanted
    return counts
