"""Compare what the teachers say of a track with what they say of it played slower and faster: labels to be trusted.

    python tools/agree_labels.py --corpus corpus --teachers teachers --out labels

reads what `label_corpus.py` left (tracks that are not answered at all three speeds are left out) and writes

    labels/<track>.npz     beat_s [beat] float32; is_downbeat [beat]; beat_agree [beat]: how many of the two changed
                           versions have the beat too, within 70 ms of the original's time; downbeat_agree [beat]: how
                           many say the same of it being a downbeat
                           chord [frame] uint8, frame i at i * 2048 / 22050 s: 0 to 11 C to B major, 12 to 23 minor,
                           24 none, 25 another; chord_agree [frame]: how many changed versions say the same, transposed
    labels/tracks.jsonl    a line a track: tempo, key, and how far the versions agree
    labels/labels.jsonl    what all versions agree on, as `sordino pretrain --labels` reads it: beats and downbeats with
                           the stretches where they are known, chords of the frames where they are, tempo, key
    labels/summary.json    over all tracks: agreement, tempo histogram, key histogram

Beats: the package's tracker on the sum of BeatNet's two probabilities; bars from the second. Chords: crema's 170 summed
into 26. Key: crema's mean pitch probabilities against the key profiles of the chroma template.
"""

import argparse
import json
from collections import Counter
from pathlib import Path

import numpy as np
from label_corpus import SPEEDS, rate_of
from teachers.beatnet import BeatNet
from teachers.crema import CHORDS, PITCHES, Crema

from sordino import make_task
from sordino.baselines.chroma_template import MAJOR_PROFILE, MINOR_PROFILE, NAMES
from sordino.files import write_json, write_stream, write_text
from sordino.pretrain.store import Store

TOLERANCE_S = 0.07
STRETCH_S = 4.0  # beats agreed on for less than that are chance
CHORD_FRAME_S = 2048 / 22050
MAJOR, MINOR = ("maj", "7", "maj6", "maj7"), ("min", "min6", "min7", "minmaj7")
NONE, OTHER, N_CHORDS = 24, 25, 26
CHANGED = [speed for speed in SPEEDS if SPEEDS[speed]]


def class_of(chord):
    """The number of a chord of crema's among major, minor, none and another."""
    if chord == "N":
        return NONE
    root, _, quality = chord.partition(":")
    if quality in MAJOR:
        return PITCHES.index(root)
    return 12 + PITCHES.index(root) if quality in MINOR else OTHER


CLASSES = np.array([class_of(chord) for chord in CHORDS])
FOLD = np.eye(N_CHORDS)[CLASSES]


def transposed(classes, semitones):
    """Chord classes so many semitones higher."""
    classes = np.asarray(classes)
    return np.where(classes < NONE, classes // 12 * 12 + (classes + semitones) % 12, classes)


def find_beats(activation):
    """Beats and downbeats, in seconds, from BeatNet's two columns."""
    probabilities = np.stack([activation.sum(1), activation[:, 1]], axis=1)
    value = make_task("beat").decode(probabilities, BeatNet.frame_rate_hz).value
    return np.array(value["beats"]), np.array(value["downbeats"] or [])


def near(times_s, others_s):
    """Which times have another within the tolerance."""
    if len(others_s) == 0:
        return np.zeros(len(times_s), bool)
    right = np.clip(np.searchsorted(others_s, times_s), 1, len(others_s) - 1) if len(others_s) > 1 else 0
    left = np.maximum(right - 1, 0)
    return np.minimum(np.abs(others_s[left] - times_s), np.abs(others_s[right] - times_s)) <= TOLERANCE_S


def f_measure(one_s, other_s):
    """How well two lists of times fit each other, 0 to 1."""
    if len(one_s) == 0 or len(other_s) == 0:
        return 0.0
    precision, recall = near(other_s, one_s).mean(), near(one_s, other_s).mean()
    return float(2 * precision * recall / (precision + recall)) if precision + recall else 0.0


def tempo_of(beats_s):
    """Of the median interval; None without two beats."""
    return float(60 / np.median(np.diff(beats_s))) if len(beats_s) > 1 else None


def compare_beats(activations):
    """Beats of the original with their agreement, and what is told of the track."""
    found = {speed: find_beats(activation) for speed, activation in activations.items()}
    beats, downbeats = found["original"]
    back = {speed: found[speed][0] * rate_of(SPEEDS[speed]) for speed in CHANGED}
    tempi = {speed: tempo_of(times) for speed, times in {"original": beats, **back}.items()}
    arrays = {
        "beat_s": beats.astype(np.float32),
        "is_downbeat": np.isin(beats, downbeats),
        "beat_agree": sum(
            (near(beats, back[speed]).astype(np.uint8) for speed in CHANGED), np.zeros(len(beats), np.uint8)
        ),
        "downbeat_agree": sum(
            (near(beats, found[speed][1] * rate_of(SPEEDS[speed])) == np.isin(beats, downbeats)).astype(np.uint8)
            for speed in CHANGED
        ),
    }
    same = [tempi[s] is not None and tempi["original"] is not None and abs(tempi[s] / tempi["original"] - 1) < 0.04
            for s in CHANGED]  # fmt: skip
    told = {"tempo_bpm": tempi["original"], "tempo_agree": sum(same),
            "beat_f": float(np.mean([f_measure(beats, back[speed]) for speed in CHANGED])),
            "beats_per_bar": float(len(beats) / len(downbeats)) if len(downbeats) else None}  # fmt: skip
    return arrays, told


def chord_classes(answer):
    """The strongest class of each frame."""
    return (answer["chord"].astype(np.float32) @ FOLD).argmax(1)


def key_of(pitch):
    """The key whose profile fits the mean pitch probabilities best, its number (major 0 to 11, minor 12 to 23)."""
    mean = pitch.astype(np.float32).mean(0)
    if mean.std() == 0:
        return None
    profiles = [np.roll(profile, tonic) for profile in (MAJOR_PROFILE, MINOR_PROFILE) for tonic in range(12)]
    return int(np.argmax([np.corrcoef(mean, profile)[0, 1] for profile in profiles]))


def key_name(number):
    """`C major` to `B minor`."""
    return f"{NAMES[number % 12]} {'major' if number < 12 else 'minor'}"


def compare_chords(answers):
    """Chords of the original with their agreement, and what is told of the track."""
    chords = chord_classes(answers["original"])
    agree = np.zeros(len(chords), np.uint8)
    for speed in CHANGED:
        changed = transposed(chord_classes(answers[speed]), -SPEEDS[speed])
        place = np.round(np.arange(len(chords)) / rate_of(SPEEDS[speed])).astype(int)
        agree += changed[np.minimum(place, len(changed) - 1)] == chords
    keys = {speed: key_of(answer["pitch"]) for speed, answer in answers.items()}
    key = keys["original"]
    same = [
        key is not None and keys[speed] is not None and transposed(keys[speed], -SPEEDS[speed]) == key
        for speed in CHANGED
    ]
    told = {
        "key": None if key is None else key_name(key),
        "key_agree": int(sum(same)),
        "chord_agree": float((agree == len(CHANGED)).mean()),
        "no_chord": float((chords == NONE).mean()),
    }
    return {"chord": chords.astype(np.uint8), "chord_agree": agree}, told


def runs_of(holds):
    """First and last index (inclusive) of each unbroken row of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], holds, [False]]).astype(int)))
    return [(int(first), int(last) - 1) for first, last in zip(edges[::2], edges[1::2], strict=True)]


def stretches(beats_s, agreed):
    """[start_s, end_s] of each row of agreed beats that lasts STRETCH_S and keeps its tempo within a tenth."""
    found = []
    for first, last in runs_of(agreed):
        steady = np.abs(np.diff(beats_s[first : last + 1], 2)) < 0.1 * np.median(np.diff(beats_s[first : last + 1]))
        for start, end in runs_of(steady):
            start_s, end_s = beats_s[first + start], beats_s[first + end + 2]
            if end_s - start_s >= STRETCH_S:
                found.append([round(float(start_s), 3), round(float(end_s), 3)])
    return found


def agreed(row, arrays):
    """What is to be learned from a track: its line of `labels.jsonl`."""
    beats, n = arrays["beat_s"], len(CHANGED)
    known = stretches(beats, arrays["beat_agree"] == n)
    entry = {"path": row["source"], "split": row["split"], "group": row["group"]}
    if known:
        bars = stretches(beats, (arrays["beat_agree"] == n) & (arrays["downbeat_agree"] == n))
        downbeats = beats[arrays["is_downbeat"]]
        entry["beat"] = {"beats": beats.round(3).tolist(), "downbeats": downbeats.round(3).tolist(), "known": known,
                         "bars_known": bars}  # fmt: skip
    if row["tempo_agree"] == n and sum(end - start for start, end in known) > row["duration_s"] / 2:
        entry["tempo"] = round(row["tempo_bpm"], 2)
    if row["key_agree"] == n:
        entry["key"] = row["key"]
    sure = (arrays["chord_agree"] == n) & (arrays["chord"] != OTHER)
    classes = np.where(sure, arrays["chord"], OTHER)
    entry["chord"] = [
        [round(first * CHORD_FRAME_S, 3), round((last + 1) * CHORD_FRAME_S, 3), chord_name(number)]
        for number in np.unique(classes[sure])
        for first, last in runs_of(classes == number)
    ]
    return entry


def chord_name(number):
    """`C:maj` to `B:min`, and `N`."""
    return "N" if number == NONE else f"{NAMES[number % 12]}:{'maj' if number < 12 else 'min'}"


def read_answers(folder, teacher, name, key=None):
    """A teacher's arrays of a track by speed, or None where a speed is missing."""
    places = {speed: folder / teacher / speed / f"{name}.npz" for speed in SPEEDS}
    if not all(place.exists() for place in places.values()):
        return None
    loaded = {speed: dict(np.load(place)) for speed, place in places.items()}
    return loaded if key is None else {speed: arrays[key].astype(np.float32) for speed, arrays in loaded.items()}


def summarise(rows):
    """Over all tracks, each weighing as much as it is long."""
    hours = np.array([row["duration_s"] for row in rows]) / 3600

    def share(hold):
        return float(hours[[bool(hold(row)) for row in rows]].sum() / hours.sum())

    tempi = Counter(int(row["tempo_bpm"] // 10 * 10) for row in rows if row["tempo_bpm"] and row["tempo_agree"] == 2)
    return {
        "tracks": len(rows),
        "hours": float(hours.sum()),
        "share of hours, beats of all versions fit (F 0.9)": share(lambda row: row["beat_f"] >= 0.9),
        "share of hours, tempo the same three times": share(lambda row: row["tempo_agree"] == 2),
        "share of hours, key the same three times": share(lambda row: row["key_agree"] == 2),
        "mean F of beats": float(np.average([row["beat_f"] for row in rows], weights=hours)),
        "mean share of frames, chord the same three times": float(
            np.average([row["chord_agree"] for row in rows], weights=hours)
        ),
        "tracks by tempo, steps of 10 BPM, where it is the same three times": dict(sorted(tempi.items())),
        "tracks by key, where it is the same three times": dict(
            Counter(row["key"] for row in rows if row["key_agree"] == 2).most_common()
        ),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, nargs="+", required=True, help="folders with store/")
    parser.add_argument("--teachers", type=Path, required=True, help="what label_corpus.py left")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    rows = []
    for item in [item for corpus in args.corpus for item in Store(corpus / "store").items]:
        name = Path(item.file).stem
        beats = read_answers(args.teachers, BeatNet.name, name, "beat")
        chords = read_answers(args.teachers, Crema.name, name)
        if beats is None or chords is None:
            continue
        told_before = args.out / "told" / f"{name}.json"
        if not told_before.exists():
            (beat_arrays, beat_told), (chord_arrays, chord_told) = compare_beats(beats), compare_chords(chords)
            arrays = beat_arrays | chord_arrays
            write_stream(args.out / f"{name}.npz", lambda file, arrays=arrays: np.savez_compressed(file, **arrays))
            write_json(told_before, {**beat_told, **chord_told})
        length = {"duration_s": item.n_frames / 25, "source": item.source, "file": f"{name}.npz", "split": item.split,
                  "group": item.group}  # fmt: skip
        rows.append({**length, **json.loads(told_before.read_text())})
    if not rows:
        raise SystemExit(f"{args.teachers}: no track of {args.corpus[0]} is answered at all speeds yet")
    write_text(args.out / "tracks.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    entries = [agreed(row, dict(np.load(args.out / row["file"]))) for row in rows]
    write_text(args.out / "labels.jsonl", "".join(json.dumps(entry) + "\n" for entry in entries))
    write_json(args.out / "summary.json", summarise(rows))
    print(json.dumps(summarise(rows), indent=1))


if __name__ == "__main__":
    main()
