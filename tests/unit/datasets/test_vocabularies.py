"""Every label that the real annotation files hold, as a list of distinct texts with counts, against mir_eval.

`vocabularies/` holds facts, not files: what stands in the cells of the published annotations, and how often.
"""

from collections import Counter
from pathlib import Path

import mir_eval
import numpy as np

from sordino.datasets._annotations import read_beats
from sordino.datasets.beatles import main_key
from sordino.datasets.giantsteps_key import key_of
from sordino.datasets.giantsteps_mtg_key import certain_key
from sordino.datasets.gtzan_key import key_of_number
from sordino.datasets.magnatagatune import MagnaTagATune
from sordino.datasets.magnatagatune_clean import MagnaTagATuneClean
from sordino.datasets.mtg_jamendo_genre import JamendoGenre
from sordino.datasets.mtg_jamendo_instrument import JamendoInstrument
from sordino.datasets.mtg_jamendo_moodtheme import JamendoMoodTheme
from sordino.datasets.mtg_jamendo_top50 import JamendoTop50
from sordino.tasks import make_task

FOLDER = Path(__file__).parent / "vocabularies"
EMPTY_CLIPS = {
    35644: "6/norine_braun-now_and_zen-08-gently-117-146.mp3",
    55753: "8/jacob_heringman-josquin_des_prez_lute_settings-19-gintzler__pater_noster-204-233.mp3",
    57881: "9/american_baroque-dances_and_suites_of_rameau_and_couperin-"
    "25-le_petit_rien_xiveme_ordre_couperin-88-117.mp3",
}


def rows(name):
    return [line.split("\t") for line in (FOLDER / name).read_text(encoding="utf-8").split("\n")[:-1]]


def test_the_407_chords_of_the_beatles():
    chords = [label for label, _ in rows("beatles_chords.tsv")]
    assert len(set(chords)) == 407 and sum("," in chord for chord in chords) == 21
    task = make_task("chord")
    for chord in chords:
        ((_, _, parsed),) = task.parse([[0.0, 1.0, chord]])
        for ours, theirs in zip(mir_eval.chord.encode(parsed), mir_eval.chord.encode(chord), strict=True):
            np.testing.assert_array_equal(ours, theirs)


def test_the_26_keys_of_the_beatles(tmp_path):
    """Church modes by their third; mir_eval knows none of them, nor a mode that is only called modal."""
    keys = {key: int(n) for key, n in rows("beatles_keys.tsv")}
    thirds = {"": "major", "mixolydian": "major", "minor": "minor", "aeolian": "minor", "dorian": "minor"}
    assert len(keys) == 26 and sum(keys.values()) == 284
    for key in keys:
        tonic, _, mode = key.partition(":")
        (tmp_path / "a.lab").write_text(f"0.0\t0.5\tSilence\n0.5\t9.0\tKey\t{key}\n")
        found = main_key(tmp_path / "a.lab")
        if mode == "modal":
            assert found is None
        else:
            theirs = mir_eval.key.split_key_string(f"{tonic} {thirds[mode]}")
            assert mir_eval.key.split_key_string(make_task("key").parse(found)) == theirs


def test_the_places_in_the_bar_of_ballroom_and_gtzan(tmp_path):
    places = [place for _, place, _ in rows("beat_places.tsv")]
    for place in places:
        (tmp_path / "a.beats").write_text(f"0.5 {place}\n1.0 {place}\n")
        found = read_beats(tmp_path / "a.beats")
        make_task("beat").parse(found)
        np.testing.assert_array_equal(found["beats"], [0.5, 1.0])
        assert found["downbeats"] == ([0.5, 1.0] if place == "1" else [])
        assert found["meter"] == (int(place) if place > "1" else None)
    assert set(places) == {"", "1", "2", "3", "4", "5"}


def test_the_clips_of_magnatagatune(tmp_path, monkeypatch):
    """As many clips in each folder and with each tag as the real table holds; three files are empty."""
    real = {tag: int(n) for tag, n in rows("magnatagatune_tags.tsv")}
    tags = {tag: n for tag, n in real.items() if n > 400}
    folders = [(folder, int(n), int(n_tagged)) for folder, n, n_tagged in rows("magnatagatune_clips.tsv")]
    top = sorted(tags, key=lambda tag: -tags[tag])[:50]
    paths = [(f"{folder}/{k}.mp3", k < n_tagged) for folder, n, n_tagged in folders for k in range(n)]
    for name in EMPTY_CLIPS.values():  # they take the place of a tagged clip of their folder
        paths[paths.index((f"{name[0]}/0.mp3", True))] = (name, True)
    table = np.zeros((len(paths), len(tags)), bool)
    tagged, others, at = *(np.flatnonzero([one[1] == has for one in paths]) for has in (True, False)), 0
    for column, tag in enumerate(tags):
        places = tagged if tag in top else np.concatenate([others, tagged])
        table[np.take(places, np.arange(at, at + tags[tag]), mode="wrap"), column] = True
        at += tags[tag] if tag in top else 0
    lines = ["\t".join(f'"{cell}"' for cell in ("clip_id", *tags, "mp3_path"))]
    lines += ["\t".join((f'"{n}"', *np.where(row, '"1"', '"0"'), f'"{name}"'))
              for n, (row, (name, _)) in enumerate(zip(table, paths, strict=True))]  # fmt: skip
    (tmp_path / "mp3").mkdir()
    (tmp_path / "annotations_final.csv").write_text("\n".join(lines))
    monkeypatch.setattr("sordino.files.is_there", lambda path: True)
    known = {"train": (18_706, 15_247), "validation": (1_825, 1_529), "test": (5_329, 4_332)}
    assert len(real) == 188 and len(paths) == 25_863
    for place, corpus in enumerate((MagnaTagATune, MagnaTagATuneClean)):
        found = corpus(tmp_path).tracks()
        assert len(found) == corpus.size[0] == (25_860, 21_108)[place]
        assert Counter(track.split for track in found) == {split: n[place] for split, n in known.items()}
    assert {tag for track in found for tag in track.labels["tags"]} == set(top)
    assert {"choral", "metal"} < set(top) and "electro" not in top and tags["choral"] == 490 > tags["electro"] == 474


def test_the_tracks_hours_and_tags_of_jamendo():
    counts = {"genre": 87, "instrument": 40, "moodtheme": 56, "top50": 50}
    parse = make_task("tagging").parse
    for subset, corpus in zip(counts, (JamendoGenre, JamendoInstrument, JamendoMoodTheme, JamendoTop50), strict=True):
        name = corpus.subset.removeprefix("autotagging_")
        tracks, seconds = np.array([row[2:] for row in rows("mtg_jamendo.tsv") if row[0] == name], int).sum(0)
        assert corpus.size == (tracks, round(seconds / 3600, 1))
        tags = [row[1] for row in rows("mtg_jamendo_tags.tsv") if row[0] == name]
        assert len(tags) == counts[subset] and parse(tags) == sorted(tags)
    assert JamendoGenre.size == (55_094, 3735.0) and JamendoInstrument.size == (24_976, 1628.3)
    assert JamendoMoodTheme.size == (17_982, 1095.1) and JamendoTop50.size == (54_380, 3688.4)


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
