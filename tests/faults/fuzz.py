"""Bytes that may be anything, where a user's or a stranger's file is read: a value or one line, never a traceback.

Each case is a healthy file that was changed (a value, a key, bytes, a part cut out), or something from nothing.
"""

from __future__ import annotations

import contextlib
import copy
import io
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from sordino.adapter_file import load_adapter
from sordino.backbones import load_backbone
from sordino.config import load_config, make_config, read_toml
from sordino.contracts import Dataset
from sordino.data_names import parse_data
from sordino.datasets import load_dataset
from sordino.files import one_line
from sordino.store import Stored, row_key
from sordino.study.grid import read_study
from sordino.tasks import make_task
from sordino.training.checkpoint import load_checkpoint

MENDABLE = (ValueError, OSError, ImportError, MemoryError)  # what the command line tells in one line
TASKS = ("key", "tempo", "beat", "chord", "tagging", "classification", "regression")
ODD_TEXTS = [
    "", "~nouser", "~", "nan", "inf", "-1", "9" * 400, "1e999", "a" * 200_000, '"', "\0", "\udcff", "\n\r", ";" * 50,
    "../..", "/", "C:\\x", "H major", "None", "{}", "[]", "true", "1,5", "0x10", "=1+1", "%s%n", "${x}", "ÿ", "🎵",
]  # fmt: skip
ODD_VALUES = [
    *ODD_TEXTS, None, True, False, 0, -1, 1, 2.5, 1e308, float("nan"), float("inf"), 10**19, -(10**400), [], {}, [[]],
    [None], {"a": {}}, {"name": "lora"}, ["x"] * 50, [1, "a", None], {"": ""},
]  # fmt: skip


def outcome(work: Callable[[], object]) -> str:
    """`read`, or `told`: any other exception than those that are told is passed on."""
    try:
        with contextlib.redirect_stderr(io.StringIO()):
            work()
    except MENDABLE as error:
        line = one_line(error)
        assert line and "\n" not in line and len(line) <= 300, line
        return "told"
    return "read"


odd_values = st.sampled_from(ODD_VALUES).map(copy.deepcopy) | st.integers() | st.floats() | st.text(max_size=20)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths of everything in plain data."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(found for key, item in inner for found in places(item, (*path, key)))]


@st.composite
def changed_data(draw: Any, healthy: Any) -> Any:
    """Plain data with some parts replaced, removed, doubled or renamed."""
    data = copy.deepcopy(healthy)
    for _ in range(draw(st.integers(1, 3))):
        path = draw(st.sampled_from(places(data)))
        if not path:
            return draw(odd_values)
        place = data
        for step in path[:-1]:
            place = place[step]
        kind = draw(st.sampled_from(["replace", "remove", "odd key", "swap"]))
        if kind == "remove":
            del place[path[-1]]
        elif kind == "odd key" and isinstance(place, dict):
            place[str(draw(st.sampled_from(ODD_TEXTS)))] = draw(odd_values)
        elif kind == "swap":
            place[path[-1]] = copy.deepcopy(healthy) if draw(st.booleans()) else {"x": place[path[-1]]}
        else:
            place[path[-1]] = draw(odd_values)
    return data


@st.composite
def changed_bytes(draw: Any, healthy: bytes) -> bytes:
    """A file with bytes changed, cut out, put in or cut off; or something else altogether."""
    data = bytearray(healthy)
    if draw(st.integers(0, 19)) == 0:
        return draw(st.binary(max_size=300))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, max(0, len(data) - 1)))
        kind = draw(st.sampled_from(["flip", "cut out", "put in", "cut off", "zeros"]))
        if kind == "flip" and data:
            data[at] ^= draw(st.integers(1, 255))
        elif kind == "cut out":
            del data[at : at + draw(st.integers(1, 64))]
        elif kind == "put in":
            data[at:at] = draw(st.binary(min_size=1, max_size=16))
        elif kind == "zeros":
            data[at : at + 16] = bytes(16)
        else:
            del data[at:]
    return bytes(data)


def run(name: str, n_cases: int) -> dict[str, int]:
    """So many cases of one kind, counted by their outcome."""
    counts = {"read": 0, "told": 0}
    with tempfile.TemporaryDirectory() as folder:
        cases, work = KINDS[name](Path(folder))

        @settings(
            max_examples=n_cases,
            deadline=None,
            database=None,
            derandomize=True,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(cases)
        def each(case: Any) -> None:
            counts[outcome(lambda: work(case))] += 1

        each()
    return counts


def labels_of(dataset: Dataset) -> None:
    """Read a dataset as `prepare` and `train` do: every task reads every track, under every label."""
    tracks = dataset.tracks()
    for task_name in TASKS:
        task = make_task(task_name)
        for track in tracks:
            for label in (*track.labels, task.label):
                task.label = label
                outcome(lambda task=task, track=track: task.read(track))


def tables(folder: Path) -> tuple[Any, Callable[[Any], object]]:
    (folder / "a.wav").write_bytes(b"RIFF")
    head = ["path", "key", "bpm", "tags", "artist", "split", "start", "duration", "id", "beats", "chords", "energy"]
    row = ["a.wav", "C major", "120", "x; y", "somebody", "train", "0", "3:45", "a", "0.5", "C", "1"]
    cell = st.sampled_from(ODD_TEXTS) | st.text(max_size=12) | st.sampled_from(row)
    rows = st.lists(st.lists(cell, min_size=1, max_size=14), max_size=5)
    form = st.sampled_from([("csv", ","), ("csv", ";"), ("tsv", "\t"), ("jsonl", ""), ("json", ""), ("txt", ",")])

    def text(found: Any) -> tuple[str, bytes]:
        kind, others, raw, quote = found
        whole = [head, row, *others]
        if kind[0] in ("json", "jsonl"):
            objects = [dict(zip(head, cells, strict=False)) for cells in whole[1:]]
            told = json.dumps(objects) if kind[0] == "json" else "\n".join(map(json.dumps, objects))
        else:
            told = "\n".join(kind[1].join(f'"{c}"' if quote else c for c in cells) for cells in whole)
        return kind[0], told.encode(errors="surrogatepass") if raw is None else raw

    healthy = "\n".join(",".join(cells) for cells in [head, row, row]).encode()
    healthy_json = json.dumps([dict(zip(head, [*row[:2], 120, ["x"], *row[4:]], strict=False))]).encode()
    raw = st.none() | st.none() | changed_bytes(healthy) | changed_bytes(healthy_json) | st.binary(max_size=200)
    rows_of_json = [{"path": "a.wav", "key": "C major", "beat": {"beats": [0.5], "downbeats": []}, "tempo": 120}]
    odd = changed_data(rows_of_json).map(lambda data: json.dumps(data).encode())

    def work(case: tuple[str, bytes]) -> None:
        path = folder / f"t.{case[0]}"
        path.write_bytes(case[1])
        labels_of(load_dataset(path))

    return st.tuples(form, rows, raw, st.booleans()).map(text) | st.tuples(st.just("json"), odd), work


def jams(folder: Path) -> tuple[Any, Callable[[Any], object]]:
    def observation(value: Any) -> dict[str, Any]:
        return {"time": 0.5, "duration": 1.0, "value": value, "confidence": 0.5}

    values = {"key_mode": "C:major", "tempo": 120.0, "beat": 1, "chord": "C:maj", "tag_open": "dark",
              "tag_gtzan": "rock", "beat_position": {"position": 1, "measure": 1}}  # fmt: skip
    healthy = {
        "file_metadata": {"artist": "x", "title": "y", "duration": 3.0, "jams_version": "0.3.5"},
        "annotations": [{"namespace": name, "data": [observation(value)] * 2, "time": 0, "duration": 3.0}
                        for name, value in values.items()],
        "sandbox": {},
    }  # fmt: skip
    columns = copy.deepcopy(healthy)
    columns["annotations"][3]["data"] = {"time": [0.0], "duration": [1.0], "value": ["C"], "confidence": [1]}
    text = json.dumps(healthy).encode()

    def work(case: bytes) -> None:
        (folder / "song.jams").write_bytes(case)
        labels_of(load_dataset(folder / "song.jams"))

    data = changed_data(healthy) | changed_data(columns)
    return data.map(lambda found: json.dumps(found).encode()) | changed_bytes(text), work


TOML = """
data = "demo"
task = ["key", "tempo"]
backbone = {name = "mini", weights = "random", n_layers = 2}
method = {name = "lora", r = 4, roles = ["attn.q"]}
head = {hidden = 0, layers = "1-2"}
seed = 3
[training]
steps = 10
lr = 1e-3
augment = ["pitch"]
loss_weights = {key = 2.0}
[grid]
method = ["probe", {name = "lora", r = 4}]
"training.lr" = [1e-3, 1e-4]
"""


def toml(folder: Path) -> tuple[Any, Callable[[Any], object]]:
    import tomllib

    plain = {key: value for key, value in tomllib.loads(TOML).items() if key != "grid"}

    def work(case: Any) -> None:
        if not isinstance(case, bytes):
            if isinstance(case, dict):
                make_config(case)
            return
        (folder / "a.toml").write_bytes(case)
        for read in (read_toml, read_study):
            outcome(lambda read=read: read(folder / "a.toml"))
        load_config(folder / "a.toml")

    return changed_bytes(TOML.encode()) | changed_data(plain), work


KEYS = [
    "task", "task.name", "method.r", "method.name", "method", "backbone.depth", "head.layers", "seed", "training.steps",
    "training.lr", "training", "training.augment", "training.head_first.steps", "data", "root", "test", "strict",
    "head.hidden", "most_broken", "grid.seed", "a.b.c", "..", "",
]  # fmt: skip


def key_values(folder: Path) -> tuple[Any, Callable[[Any], object]]:
    keys = st.sampled_from(KEYS)
    value = st.sampled_from([str(odd)[:3000] for odd in ODD_VALUES]) | st.text(max_size=20)
    pair = st.tuples(keys | st.text(max_size=12), st.sampled_from(["=", "=", "=", " = ", ""]), value).map("".join)
    (folder / "study.toml").write_text(TOML)

    def work(case: list[str]) -> None:
        outcome(lambda: read_study(folder / "study.toml", case))
        for text in case:
            outcome(lambda text=text: parse_data(text))
        load_config(None, case)

    return st.lists(pair, min_size=1, max_size=3), work


def adapters(folder: Path) -> tuple[Any, Callable[[Any], object]]:
    from sordino.adapter_file import save_adapter
    from sordino.model import Model
    from sordino.petl import make_method

    spec = {"name": "mini", "weights": "random", "n_layers": 1, "dim": 16, "n_heads": 2}
    backbone = load_backbone(**spec)
    model = Model(backbone, [make_task("key")], [make_method("lora"), make_method("prompt")], {"hidden": 0})
    fingerprint = backbone.fingerprint()
    place = save_adapter(model, folder / "a.adapter", spec, fingerprint, 1.0)
    healthy = {name: (place / name).read_bytes() for name in ("adapter.json", "adapter.safetensors")}
    card = json.loads(healthy["adapter.json"])

    def work(case: tuple[str, bytes]) -> None:
        for name, data in {**healthy, case[0]: case[1]}.items():
            (place / name).write_bytes(data)
        load_adapter(place, backbone, fingerprint)
        backbone.attached = []

    text = changed_data(card).map(lambda found: ("adapter.json", json.dumps(found).encode()))
    raw = st.sampled_from(sorted(healthy)).flatmap(lambda name: st.tuples(st.just(name), changed_bytes(healthy[name])))
    head = changed_bytes(healthy["adapter.safetensors"][:400]).map(
        lambda found: ("adapter.safetensors", found + healthy["adapter.safetensors"][400:]))  # fmt: skip
    return text | text | raw | head, work


def checkpoints(folder: Path) -> tuple[Any, Callable[[Any], object]]:
    from sordino.training.checkpoint import Checkpoint, Progress, save_checkpoint

    state = {"heads.key.weight": torch.zeros(3, 2)}
    save_checkpoint(
        Checkpoint(Progress(3, state, 0.5, 2, [0.1], 5), state, {"state": {}, "param_groups": []}), folder / "a.pt"
    )
    healthy = (folder / "a.pt").read_bytes()

    def work(case: bytes) -> None:
        (folder / "b.pt").write_bytes(case)
        load_checkpoint(folder / "b.pt")

    return changed_bytes(healthy), work


def cache_files(folder: Path) -> tuple[Any, Callable[[Any], object]]:
    keys, rows = [row_key(n) for n in range(4)], [torch.arange(6.0).reshape(3, 2) + n for n in range(4)]

    def opened() -> Stored:
        return Stored({"what": "fuzz"}, keys, [3] * 4, 2, root=folder)

    def fill(stored: Stored) -> None:
        with stored.filling() as missing:
            for row in missing:
                stored.put(int(row), rows[row])

    fill(opened())
    place = opened().folder
    healthy = {path.name: path.read_bytes() for path in place.iterdir() if path.suffix}

    def work(case: tuple[str, bytes]) -> None:
        for path in place.iterdir():
            path.unlink()
        for name, data in {**healthy, case[0]: case[1]}.items():
            (place / name).write_bytes(data)
        stored = opened()
        fill(stored)
        found = opened()
        assert found.whole.all()
        if not case[0].endswith(".data"):  # whose bytes have no checksum: see docs/reliability.md
            assert all(torch.equal(found.get(n), rows[n]) for n in range(4))

    name = st.sampled_from(sorted(healthy))
    return name.flatmap(lambda name: st.tuples(st.just(name), changed_bytes(healthy[name]))), work


KINDS = {"tables": tables, "JAMS": jams, "TOML": toml, "key=value": key_values, "adapters": adapters,
         "checkpoints": checkpoints, "cache files": cache_files}  # fmt: skip
