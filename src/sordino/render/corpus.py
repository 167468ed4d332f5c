"""Many clips: which pieces, keys and tempi they get, and the workers that render them.

Clip number n of a split is a function of (seed, split, n): keys go round all 24 classes, tempi fill the
logarithmic range evenly, pieces are taken in a shuffled order so that none comes twice before all have come
once. Rendering therefore needs no shared state, can be spread over processes, stopped and continued, and always
ends in the same files.
"""

from __future__ import annotations

import json
import multiprocessing
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from rich.console import Console
from rich.progress import track

from sordino.files import write_text, write_with

from .clips import CLIP_S, Request, Unsuitable, plan_clip, record_clip
from .instruments import PALETTES
from .mix import CLIP_RATE_HZ
from .sources import group_pieces, in_share, load_pieces
from .synth import Synth

TEMPO_RANGE_BPM = (50.0, 210.0)
ONSETS_PER_S = (0.9, 7.5)  # a piece is played at a tempo only if its notes come neither too slow nor too fast
UNKEYED_EVERY = 20  # every 20th clip modulates or is modal, and has no key label
CHORALES_IN_TEN = 3
_GOLDEN = 0.6180339887498949
_OPUS_LEVEL = 0.93  # about 25 kbit/s


@cache
def pools(tunes, seed):
    """Return shuffled pieces by kind: (mode, choral). Only pieces that are sure of their key are in major and minor.

    Args:
        tunes: a name in `sources.SHARES`.
        seed: of the shuffling.
    """
    found: dict[tuple[str, bool], list] = {}
    groups = groups_of_pieces()
    for piece in load_pieces():
        if in_share(groups[piece.id], tunes):
            choral = piece.n_voices > 1
            if piece.sure_of_key:
                found.setdefault((piece.mode, choral), []).append(piece)
            if choral or piece.mode not in ("major", "minor"):
                found.setdefault(("open", choral), []).append(piece)
    rng = np.random.default_rng([seed, sum(map(ord, tunes))])
    return {kind: [pool[i] for i in rng.permutation(len(pool))] for kind, pool in sorted(found.items())}


@cache
def groups_of_pieces():
    """Return the group of every piece that can be read here."""
    return group_pieces(load_pieces())


@dataclass(frozen=True)
class Job:
    """Clip number ``index`` of a split.

    Attributes:
        id: the clip's name.
        split: train, validation or test.
        index: from 0.
        seed: of the whole set.
        tunes: whose pieces are played, a name in `sources.SHARES`.
        sounds: whose sounds are heard, a name in `instruments.PALETTES`.
    """

    id: str
    split: str
    index: int
    seed: int
    tunes: str
    sounds: str


def request(job):
    """Return a job as a request that `record_clip` can fulfil."""
    index, seed = job.index, job.seed
    keyed = index % UNKEYED_EVERY != UNKEYED_EVERY - 1
    ordinal = index - index // UNKEYED_EVERY if keyed else index // UNKEYED_EVERY
    mode, turn = ("major", "minor")[ordinal % 2], ordinal // 2
    choral = (turn * 3) % 10 < CHORALES_IN_TEN
    if not keyed:
        choral = ordinal % 2 == 1
        mode = "open"
    groups = groups_of_pieces()
    pool = pools(job.tunes, seed)[mode, choral]
    low, high = TEMPO_RANGE_BPM
    tempo_bpm = round(low * (high / low) ** ((index * _GOLDEN + seed * 0.37) % 1.0), 2)
    for attempt in range(40 * len(pool)):
        piece = pool[(turn + attempt * 31) % len(pool)]
        onsets_per_s = piece.onsets_per_beat * tempo_bpm / 60
        if not ONSETS_PER_S[0] <= onsets_per_s <= ONSETS_PER_S[1]:
            continue
        numbers = (seed, sum(map(ord, job.split)), index, attempt)
        wish = Request(job.id, job.split, groups[piece.id], piece, PALETTES[job.sounds], tempo_bpm,
                       (5 * turn) % 12, keyed, numbers, open=keyed and turn % 2 == 0)  # fmt: skip
        try:
            plan_clip(wish)
        except Unsuitable:
            continue
        return wish
    raise Unsuitable(f"no {mode} piece of the {job.tunes} tunes fits clip {job.id} at {tempo_bpm} BPM")


def render(jobs: Iterable[Job], out_dir, workers, show=True) -> list[dict]:
    """Render clips into a folder and return their labels, sorted by id.

    Finished clips are kept: call it again after an interruption and only the missing ones are made.

    Args:
        jobs: one per clip.
        out_dir: gets ``<split>/<id>.ogg`` and ``labels.jsonl``.
        workers: number of processes.
        show: draw a progress bar on stderr.
    """
    out_dir, jobs = Path(out_dir), list(jobs)
    (out_dir / ".partial").mkdir(parents=True, exist_ok=True)
    for split in {job.split for job in jobs}:
        (out_dir / split).mkdir(exist_ok=True)
    done = _finish(jobs, out_dir, workers)
    rows = list(track(done, "rendering", len(jobs), console=Console(stderr=True), disable=not show))
    rows.sort(key=lambda row: row["id"])
    write_text(out_dir / "labels.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    for leftover in (out_dir / ".partial").iterdir():
        leftover.unlink()
    (out_dir / ".partial").rmdir()
    return rows


def _finish(jobs, out_dir, workers) -> Iterator[dict]:
    tasks = [(job, out_dir) for job in jobs]
    if workers <= 1:
        yield from map(_render_one, tasks)
        return
    with multiprocessing.get_context("spawn").Pool(workers) as pool:
        yield from pool.imap_unordered(_render_one, tasks, chunksize=8)


@cache
def _synth(soundfont):
    return Synth(soundfont)


def _render_one(task):
    """Render one clip, or read the labels of one that is already there."""
    job, out_dir = task
    sound, note = out_dir / job.split / f"{job.id}.ogg", out_dir / ".partial" / f"{job.id}.json"
    if sound.exists() and note.exists():
        return json.loads(note.read_text(encoding="utf-8"))
    audio, row = record_clip(request(job), _synth(PALETTES[job.sounds].soundfont))
    row = {"id": row.pop("id"), "path": f"{job.split}/{job.id}.ogg", **row}
    opus: dict[str, Any] = {"format": "OGG", "subtype": "OPUS", "compression_level": _OPUS_LEVEL}
    write_text(note, json.dumps(row))
    write_with(sound, lambda part: soundfile.write(part, audio, CLIP_RATE_HZ, **opus))
    return row


def render_corpus(out_dir, hours, seed=1, workers=2, include_demo_test=False, show=True):
    """Render a labelled corpus of any size.

    The tunes of the demo's test split are left out, and so are its sounds, unless they are asked for. Without them the
    corpus takes its test split from half of the demo's validation tunes.

    Args:
        out_dir: where it goes; an interrupted corpus is continued.
        hours: how much audio, in clips of 10 s: 90 % train, 5 % validation, 5 % test.
        seed: another seed gives other clips; 0 is the demo's.
        workers: number of processes.
        include_demo_test: make the test split from the demo's test tunes and test sounds.
        show: draw a progress bar on stderr.

    Returns:
        The labels of all clips.
    """
    n_clips = max(20, round(hours * 3600 / CLIP_S))
    n_held = max(1, n_clips // 20)
    held = ("demo test", "test") if include_demo_test else ("held b", "train")
    plan = {
        "train": (n_clips - 2 * n_held, "train", "train"),
        "validation": (n_held, "held a", "train"),
        "test": (n_held, *held),
    }
    jobs = [
        Job(f"{split}-{index:06d}", split, index, seed, tunes, sounds)
        for split, (n, tunes, sounds) in plan.items()
        for index in range(n)
    ]
    return render(jobs, out_dir, workers, show)
