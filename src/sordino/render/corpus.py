"""Many clips: which styles, pieces, keys and tempi they get, and the workers that render them.

Clip number n of a split is a function of (seed, split, n): keys go round all 24 classes; styles, and with them metres
and tempi, follow their shares; a composition is any one that fits style and key. Rendering therefore needs no shared
state, can be spread over processes, stopped and continued, and always ends in the same files. Numbers follow no order
of style or key, so a part of a corpus is as balanced as the whole.
"""

from __future__ import annotations

import json
import multiprocessing
import re
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

from .band.style import Style
from .band.styles import draw_style
from .charts import CLIP_S, Request, Unsuitable, make_chart
from .clips import record_clip
from .scores.songs import SONGS, load_songs
from .scores.sources import group_pieces, in_share, load_pieces
from .song_band import RECORDS, perform, song_style
from .sound.palettes import PALETTES
from .sound.synth import Synth
from .sound.waves import RATE_HZ

ONSETS_PER_S = (0.9, 9.0)  # a tune is played at a tempo only if its notes come neither too slow nor too fast
UNKEYED_EVERY = 20  # every 20th clip modulates, or is nothing but drums, and has no key label
SONG_SHARE = 0.08  # of the clips are played from MIDI files, where there are any
_OPUS_LEVEL = 0.93  # about 25 kbit/s


@cache
def pools(tunes, seed):
    """Return shuffled compositions by (metre, mode, choral); chorales that are unsure of their key under "open".

    Args:
        tunes: a name in `sources.SHARES`.
        seed: of the shuffling.
    """
    found: dict[tuple, list] = {}
    groups = groups_of_pieces()
    for piece in load_pieces():
        if in_share(groups[piece.id], tunes):
            meter, choral = (piece.beats_per_bar, piece.beat_q), piece.n_voices > 1
            if piece.sure_of_key:
                found.setdefault((meter, piece.third, choral), []).append(piece)
            if choral:
                found.setdefault((meter, "open", choral), []).append(piece)
    rng = np.random.default_rng([seed, sum(map(ord, tunes))])
    return {kind: [pool[i] for i in rng.permutation(len(pool))] for kind, pool in sorted(found.items())}


@cache
def song_pool(tunes, free):
    """Return the songs of a share; only those whose renderings may go under any licence, if `free`."""
    return [s for s in load_songs() if in_share(s.group, tunes) and (SONGS[s.source].free or not free)]


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


def request(job: Job) -> Request:
    """Return a job as a request that `record_clip` can fulfil."""
    index, seed = job.index, job.seed
    keyed = index % UNKEYED_EVERY != UNKEYED_EVERY - 1
    ordinal = index - index // UNKEYED_EVERY if keyed else index // UNKEYED_EVERY
    mode, turn = ("major", "minor")[ordinal % 2], ordinal // 2
    numbers = (seed, sum(map(ord, job.split)), index)
    rng = np.random.default_rng([*numbers, 0])
    wish = Wish(job, keyed, mode, (5 * turn) % 12, numbers)
    made = _song(wish, rng) if rng.random() < SONG_SHARE else None
    while made is None:
        made = compose(wish, draw_style(rng, mode if keyed else None), rng)
    return made


def compose(wish: Wish, style: Style, rng) -> Request | None:
    """Return a request in a style: a composition from the books, or music made up; None where only the books would do.

    Args:
        wish: what is asked of the clip.
        style: how it is played.
        rng: a numpy generator.
    """
    if rng.random() < style.tunes and (made := _composition(wish, style, rng)):
        return made
    return None if style.tunes == 1.0 else wish.request(style, style.draw_tempo(rng))


@dataclass(frozen=True)
class Wish:
    """What is asked of a clip before it is known what is played."""

    job: Job
    keyed: bool
    mode: str
    tonic: int
    numbers: tuple[int, ...]

    def request(self, style: Style, tempo_bpm: float, piece=None, group=None, attempt=0, open=False) -> Request:
        """Return the request for a style, tempo and composition (None: the music is made up)."""
        own = f"own-{self.job.split}-{self.job.seed}-{self.job.index}"
        return Request(self.job.id, self.job.split, group or own, style, self.job.sounds, tempo_bpm, self.tonic,
                       self.mode, self.keyed, (*self.numbers, attempt), piece, open)  # fmt: skip


def _song(wish, rng):
    """Return a request for a song in the mode that is asked for, or None."""
    free = PALETTES[wish.job.sounds].free
    pool = [
        s for s in song_pool(wish.job.tunes, free) if not wish.keyed or (s.tonic is not None and s.mode == wish.mode)
    ]
    style = song_style(str(rng.choice(RECORDS)))
    for attempt in range(6 if pool else 0):
        song = pool[rng.integers(len(pool))]
        tempo_bpm = round(song.tempo_bpm * float(np.exp(rng.normal(0, 0.05))), 2)
        made = wish.request(style, tempo_bpm, song, song.group, attempt)
        try:
            perform(made, np.random.default_rng([*made.seed, 1]))
        except Unsuitable:
            continue
        return made
    return None


def _composition(wish, style, rng):
    """Return a request for a tune or chorale in a style's metre, or None when none fits."""
    choral = style.name == "chorale"
    groups = groups_of_pieces()
    pool = pools(wish.job.tunes, wish.job.seed).get((style.meter, wish.mode if wish.keyed else "open", choral), [])
    start = int(rng.integers(len(pool))) if pool else 0
    for attempt in range(min(200, 4 * len(pool))):
        piece = pool[(start + attempt * 31) % len(pool)]
        tempo_bpm = style.draw_tempo(rng)
        if not ONSETS_PER_S[0] <= piece.onsets_per_beat * tempo_bpm / 60 <= ONSETS_PER_S[1]:
            continue
        open = wish.keyed and rng.random() < 0.5 and attempt < 100
        made = wish.request(style, tempo_bpm, piece, groups[piece.id], attempt, open)
        try:
            make_chart(made, np.random.default_rng([*made.seed, 1]))
        except Unsuitable:
            continue
        return made
    return None


def render(jobs: Iterable[Job], out_dir, workers, show=True, suffix=".flac") -> list[dict]:
    """Render clips into a folder and return their labels, sorted by id.

    Finished clips are kept: call it again after an interruption and only the missing ones are made.

    Args:
        jobs: one per clip.
        out_dir: gets ``<split>/<id>`` with the suffix, and ``labels.jsonl``.
        workers: number of processes.
        show: draw a progress bar on stderr.
        suffix: ``.flac``, lossless, or ``.ogg``, small (Opus).
    """
    out_dir, jobs = Path(out_dir), list(jobs)
    (out_dir / ".partial").mkdir(parents=True, exist_ok=True)
    for split in {job.split for job in jobs}:
        (out_dir / split).mkdir(exist_ok=True)
    done = _finish([(job, out_dir, suffix) for job in jobs], workers)
    rows = list(track(done, "rendering", len(jobs), console=Console(stderr=True), disable=not show))
    rows.sort(key=lambda row: row["id"])
    write_text(out_dir / "labels.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    for leftover in (out_dir / ".partial").iterdir():
        leftover.unlink()
    (out_dir / ".partial").rmdir()
    return rows


def _finish(tasks, workers) -> Iterator[dict]:
    if workers <= 1:
        yield from map(_render_one, tasks)
        return
    with multiprocessing.get_context("spawn").Pool(workers) as pool:
        yield from pool.imap_unordered(_render_one, tasks, chunksize=8)


@cache
def _synth(sounds):
    return Synth(PALETTES[sounds].fonts)


def _render_one(task):
    """Render one clip, or read the labels of one that is already there."""
    job, out_dir, suffix = task
    name = f"{job.split}/{job.id}{suffix}"
    sound, note = out_dir / name, out_dir / ".partial" / f"{job.id}.json"
    if sound.exists() and note.exists():
        return json.loads(note.read_text(encoding="utf-8"))
    audio, row = record_clip(request(job), _synth(job.sounds))
    row = {"id": row.pop("id"), "path": name, **row}
    how: dict[str, Any] = {"subtype": "PCM_16"}
    if suffix == ".ogg":
        how = {"format": "OGG", "subtype": "OPUS", "compression_level": _OPUS_LEVEL}
    write_text(note, json.dumps(row))
    write_with(sound, lambda part: soundfile.write(part, audio, RATE_HZ, **how))
    return row


def check_folder(folder: Path) -> None:
    """Raise FileExistsError where a folder has a list of labels that is of no corpus rendered here: it stays."""
    place = folder / "labels.jsonl"
    first = place.read_text(encoding="utf-8", errors="replace").partition("\n")[0] if place.is_file() else ""
    if first and not re.search(r'"path": "(train|validation|test)/\1-\d{6}\.', first):
        raise FileExistsError(f"{place} is there and of no rendering; nothing was written over it: name another folder")


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

    Raises:
        FileExistsError: the folder holds labels of something else.
    """
    check_folder(Path(out_dir))
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
    # All splits grow together, so that what there is of an unfinished corpus is one in small.
    jobs.sort(key=lambda job: (job.index + 0.5) / plan[job.split][0])
    return render(jobs, out_dir, workers, show)
