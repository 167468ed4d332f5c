"""Build the labelled set `demo` that ships with the package.

Nobody needs this to use sordino. It needs `pip install 'sordino[render]'`, FluidSynth, two soundfonts (the error
messages name the packages), the songs of Debian's freedoom, and for the recorded excerpt a folder of the songs of
fretsonfire-songs-sectoid:

    python tools/build_demo.py --out src/sordino/datasets/demo_data --songs PATH/TO/songs/sectoid

The clips are a function of the seed; which bits they become also depends on the versions of FluidSynth and libsndfile.
"""

import argparse
import json
import shutil
from pathlib import Path

import soundfile
from scipy import signal

from sordino.render.corpus import Job, render

SEED = 0
# 19 of every 20 clips have a key, so that each split has all 24 keys equally often: 288, 96 and 144 keyed clips. Only
# sounds and songs whose renderings may go under any licence.
SPLITS = {
    "train": (303, "train", "free train"),
    "validation": (101, "validation", "free train"),
    "test": (151, "demo test", "test"),
}

# The tempo map of the song's notes.mid is one entry: 631,579 microseconds per quarter. The audio begins 27 ms late
# (found by folding its onsets at that period; the same all through the song).
SONG, SONG_BEAT_S, SONG_LATE_S = "Feelings", 0.631579, 0.027
EXCERPT_FROM_S, EXCERPT_S = 80, 20


def build_clips(out, workers):
    jobs = [
        Job(f"{split}-{index:03d}", split, index, SEED, tunes, sounds)
        for split, (n, tunes, sounds) in SPLITS.items()
        for index in range(n)
    ]
    for split in SPLITS:
        shutil.rmtree(out / split, ignore_errors=True)
    rows = render(jobs, out, workers, suffix=".ogg")
    size = sum(path.stat().st_size for path in out.rglob("*.ogg"))
    print(f"{len(rows)} clips, {len({row['group'] for row in rows})} groups of pieces, {size / 1e6:.1f} MB")


def build_excerpt(out, songs):
    """Mix the two stems of a song, cut a stretch, write it with its tempo and beats."""
    (song, rate_hz), (guitar, _) = (soundfile.read(songs / SONG / f"{stem}.ogg") for stem in ("song", "guitar"))
    mono = (song + guitar).mean(axis=1)[EXCERPT_FROM_S * rate_hz : (EXCERPT_FROM_S + EXCERPT_S) * rate_hz]
    mono = signal.resample_poly(mono, 80, 147)  # 44.1 kHz to 24 kHz
    mono *= 0.9 / abs(mono).max()
    soundfile.write(out / "excerpt.ogg", mono, 24_000, format="OGG", subtype="OPUS", compression_level=0.8)
    grid = (n * SONG_BEAT_S + SONG_LATE_S - EXCERPT_FROM_S for n in range(1000))
    row = {
        "id": "excerpt",
        "path": "excerpt.ogg",
        "split": "test",
        "group": "excerpt",
        "duration_s": float(EXCERPT_S),
        "tempo": round(60 / SONG_BEAT_S, 2),
        "beat": {"beats": [round(t, 4) for t in grid if 0 <= t < EXCERPT_S]},
        "title": f"{SONG}, composed and performed by Sectoid (Carlos Viola Iborra)",
        "source": "Debian package fretsonfire-songs-sectoid, stems song.ogg and guitar.ogg, 80 s to 100 s",
        "licence": "MIT",
    }
    (out / "excerpt.json").write_text(json.dumps(row, indent=1) + "\n", encoding="utf-8")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--songs", type=Path, help="the recorded songs; without them the excerpt is kept")
    parser.add_argument("--workers", type=int, default=2)
    args = parser.parse_args()
    build_clips(args.out, args.workers)
    if args.songs:
        build_excerpt(args.out, args.songs)


if __name__ == "__main__":
    main()
