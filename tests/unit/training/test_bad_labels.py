"""One bad label never stops a run: it is listed, left out and counted; with `strict` it is an error."""

import pytest

from sordino.config import load_config
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
