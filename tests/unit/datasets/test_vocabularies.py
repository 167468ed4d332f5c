"""Every label that the real annotation files hold, as a list of distinct texts with counts, against mir_eval.

`vocabularies/` holds facts, not files: what stands in the cells of the published annotations, and how often.
"""

from collections import Counter
from pathlib import Path

import mir_eval
import numpy as np

from sordino.datasets.giantsteps_key import key_of
from sordino.datasets.giantsteps_mtg_key import certain_key
from sordino.datasets.gtzan_key import key_of_number
from sordino.tasks import make_task

FOLDER = Path(__file__).parent / "vocabularies"


def rows(name):
    return [line.split("\t") for line in (FOLDER / name).read_text(encoding="utf-8").split("\n")[:-1]]


def test_the_407_chords_of_the_beatles():
    chords = [label for (label,) in rows("beatles_chords.txt")]
    assert len(set(chords)) == 407 and sum("," in chord for chord in chords) == 21
    task = make_task("chord")
    for chord in chords:
        ((_, _, parsed),) = task.parse([[0.0, 1.0, chord]])
        for ours, theirs in zip(mir_eval.chord.encode(parsed), mir_eval.chord.encode(chord), strict=True):
            np.testing.assert_array_equal(ours, theirs)


def same_key(raw):
    parsed = make_task("key").parse(raw)
    return mir_eval.key.split_key_string(parsed) == mir_eval.key.split_key_string(raw)


def test_the_1486_cells_of_giantsteps_mtg():
    cells = [(cell, confidence, int(n)) for cell, confidence, n in rows("giantsteps_mtg_key.tsv")]
    kept = Counter()
    for cell, confidence, n in cells:
        if key := certain_key(cell, confidence):
            kept[key] += n
    assert sum(n for _, _, n in cells) == 1486 and kept.total() == 1159 and len(kept) == 24
    assert all(same_key(key) for key in kept)


def test_the_604_keys_of_giantsteps(tmp_path):
    cells = {cell: int(n) for cell, n in rows("giantsteps_key.tsv")}
    assert sum(cells.values()) == 604 and len(cells) == 24
    for cell in cells:
        (tmp_path / "a.key").write_text(cell)
        assert key_of(tmp_path / "a.key") == cell and same_key(cell)


def test_the_769_keys_of_gtzan():
    known = Counter()
    for split, number, n in rows("gtzan_key.tsv"):
        if (key := key_of_number(int(number))) is not None:
            known[split] += int(n)
            tonic, mode = mir_eval.key.split_key_string(make_task("key").parse(key))
            assert ((tonic - 9) % 12 + 12 * (mode == "minor")) == int(number)  # A major is 0, A minor 12
    assert known == {"train": 364, "validation": 165, "test": 240}
