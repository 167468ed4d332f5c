"""A store of decoded music: every track once through mini's frontend, float16, memory-mapped.

A store is a folder: `index.jsonl`, one line per track (file, source, group, split, n_frames), and one `.npy`
file [frame feature] per track. Building it again goes on where it stopped; no track is decoded twice. About
100 MB per hour of music.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32

from sordino import audio
from sordino.backbones._mini_frontend import FRAME_SAMPLES, N_FEATURES, SAMPLE_RATE_HZ, MiniFrontend
from sordino.files import write_stream, write_text

SUFFIXES = (".wav", ".flac", ".ogg", ".oga", ".mp3", ".opus", ".aif", ".aiff")
BLOCK_S = 60.0
FRAME_RATE_HZ = SAMPLE_RATE_HZ / FRAME_SAMPLES


@dataclass(frozen=True)
class Item:
    """One track of a store.

    Attributes:
        file: name of the array in the store.
        source: path of the sound file below the folder it came from.
        group: the album; none is torn across splits.
        split: `train` or `validation`.
        n_frames: its length at 25 Hz.
    """

    file: str
    source: str
    group: str
    split: str
    n_frames: int


class Store:
    """The tracks of one store.

    Args:
        root: the folder.
        split: `train`, `validation` or None for all.

    Raises:
        FileNotFoundError: `root` is no finished store.
        ValueError: its arrays were written by another version of the frontend.
    """

    def __init__(self, root: str | Path, split: str | None = None):
        self.root = Path(root)
        index = self.root / "index.jsonl"
        if not index.is_file():
            raise FileNotFoundError(f"{index}: no store here; build one with `sordino pretrain FOLDER`")
        items = [Item(**json.loads(line)) for line in index.read_text().splitlines()]
        self.items = [item for item in items if split in (None, item.split)]
        if self.items and self.features(0).shape[1] != N_FEATURES:
            raise ValueError(f"{self.root}: features of another frontend; delete the folder, build it again")

    @property
    def duration_s(self) -> float:
        """All tracks together."""
        return sum(item.n_frames for item in self.items) / FRAME_RATE_HZ

    def features(self, number: int) -> np.ndarray:
        """The memory-mapped float16 array [frame feature] of a track."""
        return np.load(self.root / self.items[number].file, mmap_mode="r")

    def crop(self, number: int, start_frame: int, n_frames: int) -> Float32[np.ndarray, "frame feature"]:
        """A stretch of a track; behind the track's end it begins again."""
        array = self.features(number)
        if start_frame + n_frames <= len(array):
            return np.asarray(array[start_frame : start_frame + n_frames], dtype=np.float32)
        return array[np.arange(start_frame, start_frame + n_frames) % len(array)].astype(np.float32)


def find_audio(folder: str | Path) -> list[Path]:
    """All sound files below `folder`, by suffix, sorted."""
    return sorted(path for path in Path(folder).rglob("*") if path.suffix.lower() in SUFFIXES)


def choose_split(album: str, validation_albums: Collection[str] | None, share: float = 0.05) -> str:
    """`validation` for the albums named, or for about `share` of all by a hash of the name; else `train`."""
    if validation_albums is not None:
        held_out = any(album == name or album.startswith(f"{name}/") for name in validation_albums)
    else:
        held_out = int(hashlib.sha256(album.encode()).hexdigest()[:8], 16) < share * 16**8
    return "validation" if held_out else "train"


def build_store(
    folder: str | Path,
    root: str | Path,
    labels: Mapping[str, Mapping[str, Any]] | None = None,
    shortest_s: float = 10.0,
    validation_albums: Collection[str] | None = None,
    n_processes: int = 1,
    report: Callable[[int, int], None] = lambda done, total: None,
) -> list[str]:
    """Decode the sound files below `folder` into the store `root`.

    Args:
        folder: where the sound files lie.
        root: the store's folder, made if need be.
        labels: what is known of the files, by path below `folder`; then only those with the `split` train or
            validation are taken, and their `group` is the album.
        shortest_s: shorter tracks are left out.
        validation_albums: albums held out, each a folder and all below it; None for about 5 %, by a hash of
            their names.
        n_processes: decoders at work.
        report: called with (done, total) after each file.

    Returns:
        A line for each file that was left out: its name and the reason.
    """
    folder, root = Path(folder), Path(root)
    root.mkdir(parents=True, exist_ok=True)
    if labels is None:
        paths = find_audio(folder)
    else:
        paths = [folder / path for path, entry in labels.items() if entry["split"] in ("train", "validation")]
    jobs = [(path, root / _array_name(path.relative_to(folder)), shortest_s) for path in paths]
    items, left_out = [], []
    for number, (path, outcome) in enumerate(zip(paths, _each(jobs, n_processes), strict=True), 1):
        source = path.relative_to(folder)
        if isinstance(outcome, str):
            left_out.append(f"{source}: {outcome}")
        elif labels is None:
            group = source.parent.as_posix()
            split = choose_split(group, validation_albums)
            items.append(Item(_array_name(source), source.as_posix(), group, split, outcome))
        else:
            entry = labels[source.as_posix()]
            items.append(Item(_array_name(source), source.as_posix(), entry["group"], entry["split"], outcome))
        report(number, len(paths))
    write_text(root / "index.jsonl", "".join(json.dumps(asdict(item)) + "\n" for item in items))
    return left_out


def _each(jobs: list[tuple[Path, Path, float]], n_processes: int) -> Iterator[int | str]:
    if n_processes == 1:
        yield from map(_decode, jobs)
        return
    with ProcessPoolExecutor(n_processes, get_context("spawn")) as pool:
        yield from pool.map(_decode, jobs)


def _array_name(relative: Path) -> str:
    return hashlib.sha256(relative.as_posix().encode()).hexdigest()[:16] + ".npy"


def _decode(job: tuple[Path, Path, float]) -> int | str:
    """Write one track's array, unless it is there; its number of frames, or why it is left out."""
    path, target, shortest_s = job
    if not target.exists():
        torch.set_num_threads(1)
        try:
            if audio.info(path).duration_s < shortest_s:
                return f"shorter than {shortest_s:g} s"
            frontend = MiniFrontend()
            blocks = [
                frontend(torch.from_numpy(block)[None])[0].half().numpy()
                for block in audio.blocks(path, SAMPLE_RATE_HZ, BLOCK_S)
                if len(block) >= SAMPLE_RATE_HZ
            ]
        except audio.AudioError as error:
            return str(error)
        write_stream(target, lambda file: np.save(file, np.concatenate(blocks)))
    return len(np.load(target, mmap_mode="r"))
