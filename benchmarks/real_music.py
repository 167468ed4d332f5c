"""A yardstick of real music: key, tempo, beats and genre of GTZAN's public hundred recordings.

    sordino prepare gtzan_key:mini --download && sordino prepare gtzan_rhythm:mini --download
    python benchmarks/real_music.py --out benchmarks/results/real_music
    python benchmarks/real_music.py --weights builtin runs/a/mini.safetensors --adapters mine=runs/b/model.adapter

For evaluation only: nothing is ever trained on these recordings but the genre classifiers, each on four fifths of them.
Learned states answer key, tempo and beats through linear probes that are trained on other music (`--taught-on`, the
built-in set unless said otherwise; the rate, and which states are read, by its validation tracks), or through adapters
given. Genre: mean and deviation over time of each hidden state, standardised, logistic regression (C = 1), 5 folds by
track, 4 draws of the folds; `chosen` takes in each fold the state that does best inside its training part. Ten
recordings of a genre are often one artist's, so genre is also an artist's sound.

Intervals: 95 %, 2,000 bootstrap samples of the tracks, the same for every row; the last column is the paired difference
to the first row of the question. Answers are kept in `--cache`, so that a new row costs that row alone.
"""

import argparse
import hashlib
import json
import platform
import sys
from pathlib import Path

import numpy as np
from real_music_ears import (
    HEARD,
    Absent,
    Adapters,
    Librosa,
    Madmom,
    MeanMel,
    Plain,
    States,
    Teachers,
    learned,
    settings,
)
from real_music_scores import KEY_ERRORS, METRICS, Table, classify, tempo_error

from sordino import load_dataset, make_task
from sordino.files import write_json, write_text
from sordino.training.report import versions


class Yardstick:
    """The tracks with their labels, and what they make of answers."""

    def __init__(self, root):
        self.tracks = load_dataset("gtzan_rhythm:mini", root).tracks()
        keys = {track.id: track.labels["key"] for track in load_dataset("gtzan_key:mini", root).tracks()}
        self.tasks = {name: make_task(name) for name in METRICS}
        raw = {name: [t.labels.get(name) if name != "key" else keys.get(t.id) for t in self.tracks] for name in METRICS}
        self.labels = {name: [None if label is None else self.tasks[name].parse(label) for label in column]
                       for name, column in raw.items()}  # fmt: skip
        self.genres = np.array([track.labels["genre"] for track in self.tracks])

    def about(self):
        """Which tracks, by a hash, and how many are labelled."""
        ids = "\n".join(track.id for track in self.tracks)
        counts = {name: sum(label is not None for label in column) for name, column in self.labels.items()}
        return {
            "tracks": len(self.tracks),
            "track_list_sha256": hashlib.sha256(ids.encode()).hexdigest()[:12],
            **counts,
        }

    def score(self, name, answers):
        """Per metric what each labelled track scores, and how often each kind of error occurs."""
        task, rows, kinds = self.tasks[name], [], []
        for label, answer in zip(self.labels[name], answers, strict=True):
            if label is None:
                continue
            rows.append(task.score(label, task.parse(answer) if name == "key" else answer))
            if name == "tempo":
                kinds.append(tempo_error(label, answer))
            elif name == "key":
                kinds.append(next((kind for kind in KEY_ERRORS if rows[-1][kind]), "correct"))
        scores = {shown: np.array([row[key] for row in rows]) for shown, key in METRICS[name].items()}
        return scores, {kind: kinds.count(kind) for kind in sorted(set(kinds)) if kind != "correct"}


def answers_of(ear, tracks, cache):
    """What an ear says of every track, by task; kept in the cache."""
    place = cache / "answers" / f"{slug(ear.name)}-{ear.mark}.json"
    known = json.loads(place.read_text()) if place.exists() else {}
    for number, track in enumerate(tracks):
        if track.id not in known:
            known[track.id] = ear.hear(track.path)
        if number % 10 == 0 or number == len(tracks) - 1:
            write_json(place, known)
    return {task: [known[track.id][task] for track in tracks] for task in METRICS if task in known[tracks[0].id]}


def descriptions_of(ear, tracks, cache):
    """Mean and deviation of every state and track, [track state feature]; kept in the cache."""
    place = cache / "descriptions" / f"{slug(ear.name)}-{ear.mark}.npy"
    if not place.exists():
        place.parent.mkdir(parents=True, exist_ok=True)
        np.save(place, np.stack([ear.describe(track.path) for track in tracks]))
    return np.load(place)


def with_tempo_of_beats(answers):
    """The tempo of the median interval of the beats, where an ear gives beats."""
    beats = [np.diff(answer["beats"]) for answer in answers["beat"]]
    return {"tempo": [float(60 / np.median(gaps)) if len(gaps) else 0.0 for gaps in beats]}


def slug(name):
    return "".join(letter if letter.isalnum() else "_" for letter in name)


def add_answers(table, yardstick, name, several, note=""):
    """Rows of every question that these answers (one set for each seed) have."""
    for task in several[0]:
        scored = [yardstick.score(task, answers[task]) for answers in several]
        kinds = sorted({kind for _, errors in scored for kind in errors})
        errors = {kind: np.mean([errors.get(kind, 0) for _, errors in scored]) for kind in kinds}
        for metric in METRICS[task]:
            shown = errors if metric == next(iter(METRICS[task])) else {}
            table.add(task, metric, name, [scores[metric] for scores, _ in scored], shown, note)
    if "beat" in several[0]:
        add_answers(table, yardstick, f"{name}: median beat", [with_tempo_of_beats(a) for a in several], note)


def add_genre(table, yardstick, name, several, note=""):
    """Rows for the state chosen, for the last, and for every state in the record."""
    results = [classify(features, yardstick.genres) for features in several]
    if len(results[0][0]) == 1:
        table.add("genre", "accuracy", name, [hit[0] for hit, _ in results], note=note)
        return
    table.add("genre", "accuracy", f"{name}, chosen state", [chosen for _, chosen in results], note=note)
    table.add("genre", "accuracy", f"{name}, last state", [hit[-1] for hit, _ in results], note=note)
    for state in range(len(results[0][0])):
        table.add("genre", "accuracy by state", f"{name}, state {state}", [hit[state] for hit, _ in results])


def said(what):
    print(what, file=sys.stderr, flush=True)


def fill(table, yardstick, args):
    """Everything asked for; what cannot be had is told and left out."""
    tracks = yardstick.tracks
    if "genre" in args.questions:
        add_genre(table, yardstick, "mel", [descriptions_of(MeanMel(), tracks, args.cache)])
    answering = [] if args.questions == ["genre"] else [Plain, Librosa, Madmom] if args.plain else [Plain]
    for kind in answering:
        try:
            ear = kind()
            add_answers(table, yardstick, ear.name, [answers_of(ear, tracks, args.cache)], ear.note)
        except Absent as reason:
            said(f"left out: {kind.name}: {reason}")
    if args.wheels is not None:
        ear = Teachers(args.wheels)
        add_answers(table, yardstick, ear.name, [answers_of(ear, tracks, args.cache)], ear.note)
    for name, folders in args.adapters.items():
        ear = Adapters(name, folders)
        add_answers(table, yardstick, name, [answers_of(ear, tracks, args.cache)], "adapters given")
    for name, specs in learned(args.weights, args.seeds).items():
        note = HEARD if name == "musicnn" else ""
        try:
            several = [States(name, spec) for spec in specs]
        except Absent as reason:
            said(f"left out: {name}: {reason}")
            continue
        said(name)
        if "genre" in args.questions:
            add_genre(table, yardstick, name, [descriptions_of(states, tracks, args.cache) for states in several], note)
        if args.questions != ["genre"]:
            ears = [
                states.probes(args.taught_on, args.taught_root, args.cache / "runs", args.layers) for states in several
            ]
            add_answers(table, yardstick, name, [answers_of(ear, tracks, args.cache) for ear in ears], note)


def processor():
    """The name of the processor, where the system tells it."""
    known = Path("/proc/cpuinfo")
    lines = known.read_text().splitlines() if known.exists() else []
    flags = next((line for line in lines if line.startswith("flags")), "").split()
    name = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.processor())
    return name + (" with avx512_bf16" if "avx512_bf16" in flags else "")


def adapters(pairs):
    """`NAME=FOLDER` several times: folders by name, of different tasks."""
    found = {}
    for pair in pairs:
        name, _, folder = pair.partition("=")
        found.setdefault(name, []).append(Path(folder))
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, help="where the recordings and annotations lie")
    parser.add_argument(
        "--weights", nargs="*", default=["builtin"], help="`builtin`, or files of mini as NAME=PATH or PATH"
    )
    parser.add_argument("--seeds", type=int, default=3, help="random networks; 0 for none")
    parser.add_argument("--adapters", nargs="*", default=[], metavar="NAME=FOLDER")
    parser.add_argument("--questions", nargs="*", default=["answers", "genre"], choices=["answers", "genre"])
    parser.add_argument("--no-plain", dest="plain", action="store_false", help="no librosa and madmom")
    parser.add_argument("--wheels", type=Path, help="folder with the wheels of BeatNet and crema: the teachers' rows")
    parser.add_argument("--taught-on", default="demo", help="dataset of the probes for key, tempo and beats")
    parser.add_argument("--taught-root", help="where it lies")
    parser.add_argument(
        "--layers", nargs="*", default=["last"], help="what probes read, as head.layers; several are tried"
    )
    parser.add_argument("--cache", type=Path, default=Path("runs/real_music"), help="keep answers and probes here")
    parser.add_argument("--out", type=Path, help="write OUT.json and OUT.md")
    args = parser.parse_args()
    args.adapters = adapters(args.adapters)
    yardstick, table = Yardstick(args.root), Table()
    fill(table, yardstick, args)
    print(table.markdown(), end="")
    if args.out:
        about = {"tracks": yardstick.about(), "versions": {**versions(), "processor": processor()},
                 "probes": {"taught_on": args.taught_on, "layers": args.layers, **settings()}}  # fmt: skip
        write_json(args.out.with_suffix(".json"), {**about, "rows": table.rows})
        write_text(args.out.with_suffix(".md"), table.markdown())


if __name__ == "__main__":
    main()
