"""Processes killed at any time: what they go on to write is the same bytes.

A command runs in a child that was forked from a process in which everything is imported already, so that a kill costs a
fraction of a second. It is killed with SIGKILL after a random time, again and again, and then left alone.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from sordino.config import Config, load_config
from sordino.datasets import load_dataset, prepare
from sordino.files import distinct_names
from sordino.inference import Predictor
from sordino.results import write_jams
from sordino.store import Stored, row_key
from sordino.study.side_by_side import run_all
from sordino.training.run import train
from tests.faults.bad_audio import good

TINY = {"name": "mini", "weights": "random", "n_layers": 1, "dim": 16, "n_heads": 2}
TIMES = ("seconds", "train_cpu_s", "step_s", "peak_memory_bytes")  # of a result: not the same twice


def child(work: Callable[[], object], cache: Path) -> int:
    """The number of a forked process that does some work and ends with status 0."""
    number = os.fork()
    if number:
        return number
    status = 1
    try:
        os.environ["SORDINO_CACHE"] = str(cache)
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()) as said:
            work()
        status = 0
    except BaseException as error:
        os.write(2, f"{type(error).__name__}: {error}\n{said.getvalue()[-500:]}\n".encode(errors="replace"))
    finally:
        os._exit(status)


def ended(number: int) -> int:
    """The status of a child, when it has ended."""
    return os.waitstatus_to_exitcode(os.waitpid(number, 0)[1])


def killed(work: Callable[[], object], cache: Path, n_kills: int, longest_s: float, rng: np.random.Generator) -> int:
    """Do some work, killed so many times, then undisturbed; how many kills found it at work."""
    done = 0
    for _ in range(n_kills):
        number, end = child(work, cache), time.monotonic() + float(rng.uniform(0, longest_s))
        while time.monotonic() < end and os.waitid(os.P_PID, number, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            time.sleep(0.002)
        if os.waitid(os.P_PID, number, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            os.kill(number, signal.SIGKILL)
            done += 1
        status = ended(number)
        assert status in (0, -signal.SIGKILL), f"a process that was not killed ended with {status}"
    assert ended(child(work, cache)) == 0
    return done


def content(folder: Path) -> dict[str, str]:
    """Hashes of what a folder holds, without what is unfinished, locks, and times."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and not any(part.startswith(".") for part in Path(name).parts):
            data = path.read_bytes()
            if path.name == "result.json":
                plain = {key: value for key, value in json.loads(data).items() if key not in TIMES}
                data = json.dumps(plain, sort_keys=True).encode()
            found[name] = hashlib.sha256(data).hexdigest()
    return found


def music(folder: Path, n_tracks: int = 12) -> Path:
    """A small table of short sounds."""
    rows = []
    for number in range(n_tracks):
        good(folder / f"{number}.wav", 1.0 + 0.05 * number)
        split = "test" if number % 4 == 2 else "validation" if number % 4 == 3 else "train"
        rows.append(f"{number}.wav,{'CDEFGAB'[number % 3]} major,{split}")
    (folder / "labels.csv").write_text("\n".join(["path,key,split", *rows]) + "\n")
    return folder / "labels.csv"


def config(data: Path, **values: object) -> Config:
    training = {"steps": 8, "batch_size": 4, "lr": 1e-2, "validate_every": 2, "segment_s": 0.5, "precision": "float32",
                "checkpoint_s": 0.0, "workers": 0}  # fmt: skip
    return load_config(None, (), data=str(data), task="key", backbone=TINY, training=training, head={"hidden": 4},
                       **{"method": "lora", **values})  # fmt: skip


def prepares(data: Path, out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    prepare(load_dataset(data), [], 1, out / "manifest.sordino.jsonl")


def caches(data: Path, out: Path) -> None:
    """Fills a store, row by row, and writes down what it then holds."""
    stored = Stored({"what": "kills"}, [row_key(n) for n in range(60)], [40] * 60, 8, root=out / ".store")
    with stored.filling() as missing:
        for row in missing:
            stored.put(int(row), torch.full((40, 8), float(row)))
            time.sleep(0.001)
    again = Stored({"what": "kills"}, [row_key(n) for n in range(60)], [40] * 60, 8, root=out / ".store")
    assert again.whole.all()
    (out / "rows").write_bytes(b"".join(again.get(n).numpy().tobytes() for n in range(60)))


def trains(data: Path, out: Path) -> None:
    train(config(data), out)


def studies(data: Path, out: Path) -> None:
    configs = [config(data, method=method, seed=seed) for method in ("probe", "bitfit") for seed in (0, 1)]
    run_all(configs, out / "runs")


def predicts(data: Path, out: Path) -> None:
    files = sorted(data.parent.glob("*.wav"))
    predictor, names = Predictor([data.parent / ".adapter"]), distinct_names(files)
    for answer in predictor.files(files):
        write_jams(answer, predictor.tasks, out / "jams", names[answer.path])


WORK = {"prepare": prepares, "cache": caches, "train": trains, "study": studies, "predict": predicts}


def run(name: str, folder: Path, n_kills: int, at_once: int = 12, seed: int = 0) -> dict[str, int]:
    """Kills of one command.

    Args:
        name: of `WORK`.
        folder: an empty one.
        n_kills: how many at least.
        at_once: how many before the command may end.
        seed: of the times.
    """
    torch.set_num_threads(1)
    data, rng = music(_made(folder / "data")), np.random.default_rng(seed)
    if name == "predict":
        source = train(config(data), folder / "source").adapter
        source.rename(data.parent / ".adapter")

    def work(out: Path) -> Callable[[], None]:
        return lambda: WORK[name](data, out)

    began = time.monotonic()
    assert ended(child(work(_made(folder / "whole")), folder / "cache whole")) == 0
    longest_s, wanted = 0.7 * (time.monotonic() - began), content(folder / "whole")
    assert wanted
    counts = {"kills": 0, "rounds": 0, "unequal": 0}
    while counts["kills"] < n_kills:
        out = _made(folder / f"round {counts['rounds']}")
        cache = folder / f"cache {counts['rounds']}"
        counts["kills"] += killed(work(out), cache, min(at_once, n_kills - counts["kills"]), longest_s, rng)
        counts["rounds"] += 1
        counts["unequal"] += content(out) != wanted
    return counts


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder
