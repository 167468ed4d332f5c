"""Scores against mir_eval: its golden values, and random cases put to it in another way than tasks do."""

import json
from itertools import pairwise
from pathlib import Path

import mir_eval
import numpy as np
import pytest

from sordino.contracts import Prediction
from sordino.tasks import make_task

CASES = json.loads(Path(__file__).with_name("mir_eval_cases.json").read_text())["cases"]
NAMES = {
    "key": {"weighted_score": "Weighted Score"},
    "tempo": {"p_score": "P-score"},
    "beat": {
        "f_measure": "F-measure",
        "cmlt": "Correct Metric Level Total",
        "amlt": "Any Metric Level Total",
    },
    "chord": {name: name for name in ("root", "thirds", "majmin", "sevenths", "mirex", "seg")},
}
QUALITIES = [quality for quality in mir_eval.chord.QUALITIES if quality]
KEYS = [f"{tonic} {mode}" for tonic in mir_eval.key.KEY_TO_SEMITONE for mode in ("major", "minor") if tonic != "x"]


@pytest.mark.parametrize("case", CASES, ids=[f"{case['task']}{case['number']:02}" for case in CASES])
def test_own_golden_values(case):
    task = make_task(case["task"])
    reference, estimated = (task.parse(case[side]) for side in ("reference", "estimated"))
    scores = task.evaluate([reference], [Prediction(estimated)]).metrics
    for ours, theirs in NAMES[case["task"]].items():
        assert scores[ours] == pytest.approx(case["scores"][theirs], abs=1e-9), ours


def test_key_of_every_pair_of_spellings():
    task = make_task("key")
    for reference in KEYS:
        for estimated in KEYS[::3]:
            scores = task.score(task.parse(reference), task.parse(estimated))
            assert scores["weighted_score"] == mir_eval.key.evaluate(reference, estimated)["Weighted Score"]


def test_tempo_of_random_pairs():
    task, rng = make_task("tempo"), np.random.default_rng(1)
    for _ in range(1000):
        slow, fast = np.sort(rng.uniform(40, 240, 2))
        reference = task.parse((slow, fast, rng.uniform()))
        estimated = np.sort(reference["tempi"] * rng.choice([1, 1.05, 1.1, 2, 0.5], 2) + rng.normal(0, 2, 2))
        expected = mir_eval.tempo.evaluate(np.array(reference["tempi"]), reference["salience"], estimated)
        answer = Prediction(estimated[0], 1.0, {"tempi": estimated.tolist(), "salience": 0.5})
        assert task.evaluate([reference], [answer]).metrics["p_score"] == pytest.approx(expected["P-score"])


def random_beats(rng):
    """Reference beats, and an estimate that is off in one of the usual ways."""
    reference = np.cumsum(rng.uniform(0.3, 0.9) * (1 + rng.normal(0, 0.02, 50))) + rng.uniform(0, 1)
    changed = {0: reference, 1: reference[::2], 2: reference[1:] - np.diff(reference) / 2,
               3: np.sort(np.concatenate([reference, reference[1:] - np.diff(reference) / 2])),
               4: reference[rng.uniform(size=50) < 0.8]}[int(rng.integers(5))]  # fmt: skip
    estimated = np.unique(np.maximum(changed + rng.normal(0, rng.choice([0, 0.02, 0.06]), len(changed)), 0))
    return reference, estimated


def test_beats_of_random_cases():
    task, rng = make_task("beat"), np.random.default_rng(2)
    for _ in range(400):
        reference, estimated = random_beats(rng)
        scores = task.score(task.parse(reference), task.parse(estimated))
        for suffix, skipped in (("", 5.0), ("_full", 0.0)):
            trimmed = [mir_eval.beat.trim_beats(beats, skipped) for beats in (reference, estimated)]
            expected = mir_eval.beat.f_measure(*trimmed), *mir_eval.beat.continuity(*trimmed)[1::2]
            found = [scores[name + suffix] for name in ("f_measure", "cmlt", "amlt")]
            np.testing.assert_allclose(found, expected, atol=1e-12)


def random_chords(rng, like=None):
    """Rows that cover about 30 s; with `like` often the same chord as there."""
    start_s = 0.0 if like is None else rng.choice([0.0, 0.5])
    edges = [start_s, *np.sort(rng.uniform(1, 29, 15)), 30.0]
    rows = []
    for start, end in pairwise(edges):
        root = rng.choice(["C", "Db", "D", "D#", "E", "E#", "Gb", "G", "Ab", "A", "Bb", "Cb"])
        harte = f"{root}:{rng.choice(QUALITIES)}"
        choices = ["N", "X", harte, f"{root}:maj/3", f"{root}:min7(4)/b3"]
        chord = str(rng.choice(choices, p=[0.1, 0.05, 0.65, 0.1, 0.1]))
        if like is not None and rng.uniform() < 0.6:
            chord = next(c for s, e, c in like if s <= (start + end) / 2 < e)
        rows.append([float(start), float(end), chord])
    return rows


def columns(rows):
    return np.array([row[:2] for row in rows]), [row[2] for row in rows]


def test_chords_of_random_cases():
    task, rng = make_task("chord", bass=True), np.random.default_rng(3)
    for _ in range(150):
        reference = random_chords(rng)
        estimated = random_chords(rng, reference)
        expected = mir_eval.chord.evaluate(*columns(reference), *columns(estimated))
        scores = task.score(task.parse(reference), task.parse(estimated))
        for name in (*NAMES["chord"], "majmin_inv", "sevenths_inv"):
            assert scores[name] == pytest.approx(expected[name], abs=1e-9), name
