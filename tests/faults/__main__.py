"""`make faults`: inject, count, and write the table of docs/reliability.md.

python -m tests.faults [--share 0.1] [--out docs/reliability.md]
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import torch

from sordino.files import write_text
from tests.faults import disk, fuzz, kills, races

N_KILLS = {"prepare": 150, "cache": 150, "predict": 120, "train": 50, "study": 40}
N_CASES, N_RACES, N_STARTS = 5_000, 1_000, {"train": 16, "study": 6}
MARKS = ("<!-- faults -->\n", "<!-- /faults -->")

Row = tuple[str, str, str]


def rows(share: float) -> list[tuple[str, Callable[[Path], Row]]]:
    """What is injected, by name, and what runs and counts it."""

    def n(count: int) -> int:
        return max(1, round(share * count))

    def killed(name: str) -> Callable[[Path], Row]:
        def row(folder: Path) -> Row:
            found = kills.run(name, folder, n(N_KILLS[name]))
            return (f"`{name}` killed (SIGKILL) at random times, then run again", f"{found['kills']:,} kills",
                    f"{found['unequal']} of {found['rounds']} ends with other bytes")  # fmt: skip

        return row

    def full(name: str) -> Callable[[Path], Row]:
        def row(folder: Path) -> Row:
            found = disk.run(name, folder, every=round(1 / share))
            told = f"{found['not whole']} files that were not whole, {found['unequal']} ends with other bytes"
            return (
                f"`{name}`, disk full from a write on, then run again with room",
                f"{found['sites']:,} write sites",
                told,
            )

        return row

    def small(folder: Path) -> Row:
        found = disk.small_disks(folder, range(40, 400, max(20, round(20 / share))))
        if found is None:
            return "`train` on small file systems", "none could be mounted", "-"
        told = f"{found['full']} full, each in one line; {found['unequal']} ends with other bytes"
        return "`train` on small file systems (tmpfs), then with room", f"{found['sizes']} sizes", told

    def fuzzed(name: str) -> Callable[[Path], Row]:
        def row(folder: Path) -> Row:
            found = fuzz.run(name, n(N_CASES))
            told = f"0 tracebacks: {found['read']:,} read, {found['told']:,} told in one line"
            return f"{name}, changed at random", f"{sum(found.values()):,} cases", told

        return row

    def raced(folder: Path) -> Row:
        found = races.cache_races(folder, n(N_RACES))
        return "three processes fill one cache at once", f"{found['races']:,} races", f"{found['wrong']} wrong"

    def twice(name: str) -> Callable[[Path], Row]:
        def row(folder: Path) -> Row:
            found = races.at_once(name, folder, n(N_STARTS[name]) if name == "study" else n(N_STARTS[name] // 2))
            return (f"one `{name}` started twice at once", f"{found['starts']} starts",
                    f"{found['failed']} failed, {found['unequal']} ends with other bytes")  # fmt: skip

        return row

    return [
        *((f"kill {name}", killed(name)) for name in N_KILLS), *((f"full {name}", full(name)) for name in WORK_ON_DISK),
        ("small disks", small), ("cache races", raced), *((f"twice {name}", twice(name)) for name in N_STARTS),
        *((f"fuzz {name}", fuzzed(name)) for name in fuzz.KINDS), ("bad audio", bad_audio),
    ]  # fmt: skip


WORK_ON_DISK = ("prepare", "cache", "train", "study", "predict")


def bad_audio(folder: Path) -> Row:
    """The tests of bad files, which count their kinds themselves."""
    from tests.faults.bad_audio import bad_files, odd_names

    n_bad, n_odd = len(bad_files(folder)), len(odd_names(folder))
    words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/faults/test_bad_audio.py"]
    told = subprocess.run(words, capture_output=True, text=True, check=False)
    result = told.stdout.strip().splitlines()[-1]
    assert told.returncode == 0, told.stdout[-3000:]
    return (
        "bad sound files, and odd names of good ones, in `predict`, `train`, `evaluate`",
        f"{n_bad} and {n_odd} kinds",
        result,
    )


def table(found: list[Row], seconds: float) -> str:
    """The table in Markdown."""
    lines = [
        "| injected | how often | what came of it |",
        "|---|---:|---|",
        *(f"| {' | '.join(row)} |" for row in found),
    ]
    where = f"{platform.system()}, {platform.machine()}, Python {platform.python_version()}, torch {torch.__version__}"
    return "\n".join(lines) + f"\n\nRun in {seconds / 60:.0f} minutes on {where}.\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--share", type=float, default=1.0, help="of the usual counts")
    parser.add_argument("--only", nargs="*", default=[], help="rows whose name begins so")
    parser.add_argument("--keep", type=Path, help="a file of JSON lines with the rows that ran already")
    parser.add_argument("--out", type=Path, help="a page with the marks of the table")
    args = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    kept = (
        [json.loads(line) for line in args.keep.read_text().splitlines()] if args.keep and args.keep.is_file() else []
    )
    for name, run in rows(args.share):
        wanted = not args.only or any(name.startswith(start) for start in args.only)
        if not wanted or name in {row["name"] for row in kept}:
            continue
        began = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="faults-") as folder:
            row = run(Path(folder))
        kept.append({"name": name, "row": row, "seconds": round(time.monotonic() - began, 1)})
        print(" | ".join(row), f"({kept[-1]['seconds']} s)", flush=True)
        if args.keep:
            write_text(args.keep, "".join(json.dumps(each) + "\n" for each in kept))
    order = [name for name, _ in rows(args.share)]
    kept.sort(key=lambda each: order.index(each["name"]))
    text = table([tuple(each["row"]) for each in kept], sum(each["seconds"] for each in kept))
    print(text)
    if args.out:
        page = args.out.read_text(encoding="utf-8")
        before, _, rest = page.partition(MARKS[0])
        write_text(args.out, before + MARKS[0] + text + MARKS[1] + rest.partition(MARKS[1])[2])


if __name__ == "__main__":
    main()
