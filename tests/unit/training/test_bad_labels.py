"""One bad label never stops a run: it is listed, left out and counted; with `strict` it is an error."""

import pytest

from sordino.config import load_config
from sordino.datasets.beatles import Beatles
from sordino.training.adapter_scores import evaluate_adapter
from sordino.training.plan import open_run
from sordino.training.run import train
from tests.conftest import TINY


def config(table, **values):
    training = {"steps": 2, "segment_s": 1.0}
    return load_config(
        None, (), data=str(table), task="key", backbone=TINY, method="probe", training=training, **values
    )


@pytest.fixture
def mislabelled(triads):
    """The triads, two of them with keys that are none; one of these is a test track."""
    head, *lines = triads.read_text().splitlines()
    split = head.split(",").index("split")
    rows = [line.split(",") for line in lines]
    for row in (rows[0], next(row for row in rows if row[split] == "test")):
        row[1] = "H major"
    table = triads.with_name("mislabelled.csv")
    table.write_text("\n".join([head, *map(",".join, rows)]) + "\n")
    yield table
    table.unlink()


def test_bad_labels_are_left_out_and_counted(mislabelled, triads, tmp_path, capsys):
    run = train(config(mislabelled), tmp_path)
    whole = train(config(triads), tmp_path)
    assert len(run.result["left_out"]) == 2 and not whole.result["left_out"]
    assert run.result["left_out"][0].startswith('mislabelled.csv line 2: key "H major" is not a key; use C..B')
    assert capsys.readouterr().err.count("left out: mislabelled.csv line") == 2
    for split in ("train", "test"):
        assert run.result["protocol"]["tracks"][split] == whole.result["protocol"]["tracks"][split] - 1
    scored = evaluate_adapter(run.adapter, mislabelled)
    assert scored["key"]["n_tracks"] == whole.result["tasks"]["key"]["n_tracks"] - 1


def test_strict_makes_it_an_error(mislabelled, tmp_path):
    with pytest.raises(ValueError, match=r'mislabelled\.csv line 2: key "H major" is not a key.*; 2 such lines'):
        open_run(config(mislabelled, strict=True), tmp_path)
    assert config(mislabelled, strict=True).deciding() == config(mislabelled).deciding()


def test_the_beatles_train_without_a_song_whose_chords_are_not_understood(tmp_path):
    """A named corpus as one's own data; one of its chords holds a comma."""
    Beatles.miniature(tmp_path / "beatles")
    songs = tmp_path / "beatles" / "annotations" / "chordlab" / "The Beatles"
    (songs / "10CD1_-_The_Beatles" / "CD1_-_02_-_Dear_Prudence.lab").write_text("0.0 1.0 N\n1.0 2.0 H:maj\n")
    values = {
        "data": "beatles",
        "root": str(tmp_path / "beatles"),
        "task": "chord",
        "backbone": TINY,
        "method": "probe",
    }
    run = train(load_config(None, (), training={"steps": 2, "segment_s": 1.0}, **values), tmp_path)
    (line,) = run.result["left_out"]
    assert "Dear_Prudence" in line and "H:maj" in line
    assert run.result["protocol"]["tracks"] == {"train": 1, "validation": 0, "test": 1}
    with pytest.raises(ValueError, match="H:maj"):
        open_run(load_config(None, (), strict=True, **values), tmp_path)
