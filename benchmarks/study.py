"""What a study costs beside its training steps, and how well it uses two cores.

    python benchmarks/study.py                      # about 25 minutes; nothing else should run
    python benchmarks/study.py --twice              # as long again

One study of sixteen methods on `demo`, from an empty cache each time: run after run on one thread (`--jobs 1`), and two
side by side (`--jobs 2`). The first tells the **overhead**: CPU seconds of the whole program, with reading, the frozen
part, validations, tests and the interpreter, over those of the training steps. **Efficiency** is half the first's time
over the second's. With `--twice` the study runs as two programs at once too: what two cores of this machine (which may
be two threads of one) can do at all.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

STUDY = Path(__file__).resolve().parents[1] / "experiments" / "demo" / "methods.toml"


def started(folder, jobs, settings):
    """A study as a program of its own, with an empty cache."""
    words = [sys.executable, "-m", "sordino", "study", STUDY, "grid.seed=[0]", "training.head_first={}", *settings,
             "--jobs", jobs, "--out", folder / "runs", "--quiet"]  # fmt: skip
    environment = {**os.environ, "SORDINO_CACHE": str(folder / "cache"), "OMP_NUM_THREADS": str(jobs)}
    return subprocess.Popen([str(word) for word in words], env=environment, stdout=subprocess.DEVNULL)


def timed(folder, jobs, settings, copies=1):
    """Seconds and CPU seconds until all copies of a study have ended."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    for program in [started(folder / f"{jobs} {copy} of {copies}", jobs, settings) for copy in range(copies)]:
        if program.wait():
            raise SystemExit(f"the study ended with {program.returncode}")
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.perf_counter() - began, used.ru_utime + used.ru_stime - before.ru_utime - before.ru_stime


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("settings", nargs="*", default=["training.steps=100", "training.validate_every=100"])
    parser.add_argument("--twice", action="store_true", help="measure two programs at once as well")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="study-") as name:
        folder = Path(name)
        alone_s, cpu_s = timed(folder, 1, args.settings)
        results = [json.loads(path.read_text()) for path in folder.glob("1 0 of 1/runs/*/result.json")]
        steps_s = sum(result["train_cpu_s"] for result in results)
        print(f"{len(results)} runs: {cpu_s:.0f} CPU s, {steps_s:.0f} of them training steps: {cpu_s / steps_s:.2f}",
              flush=True)  # fmt: skip
        both_s, _ = timed(folder, 2, args.settings)
        print(f"alone {alone_s:.0f} s, two jobs {both_s:.0f} s: efficiency {alone_s / 2 / both_s:.2f}", flush=True)
        if args.twice:
            twice_s, _ = timed(folder, 1, args.settings, copies=2)
            print(f"two programs at once {twice_s:.0f} s: of what they reach {twice_s / 2 / both_s:.2f}")


if __name__ == "__main__":
    main()
