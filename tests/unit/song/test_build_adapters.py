"""The tool that trains what ships: the best run is collected with its scores, and the better estimator is chosen."""

import json
import sys
from pathlib import Path

import pytest

from sordino.adapter_file import read_card
from sordino.song.card import SongCard, sources
from tests.conftest import TINY

sys.path.insert(0, str(Path(__file__).parents[3] / "tools"))
import build_adapters


def row(adapter, plain, real=True, n=10):
    told = {
        "adapter": {"score": adapter, "interval": [adapter - 0.1, adapter + 0.1]},
        "plain": plain and {"score": plain},
    }
    return {"real": real, "n_tracks": n, **told}


def test_real_music_decides_where_there_is_some():
    about = {"metric": "accuracy", "plain": "template"}
    rendered, real = row(0.9, 0.5, real=False), row(0.4, 0.6)
    assert build_adapters.chosen({**about, "data": {"demo": rendered}}) == (
        "adapter", "accuracy on rendered music (demo): adapter 0.900, template 0.500")  # fmt: skip
    use, why = build_adapters.chosen({**about, "data": {"demo": rendered, "gtzan": real, "more": row(0.9, 0.5, n=10)}})
    assert use == "adapter" and "real music (gtzan and more): adapter 0.650, template 0.550" in why
    assert build_adapters.chosen({**about, "data": {"demo": rendered, "gtzan": real}})[0] == "plain"
    assert build_adapters.chosen({**about, "data": {"demo": rendered, "gtzan": row(0.55, 0.6)}})[0] == "plain"
    assert build_adapters.chosen({**about, "data": {"demo": row(0.1, None)}})[0] == "adapter"


def test_a_study_becomes_an_adapter_that_the_card_uses(triads, tmp_path, monkeypatch, song):
    study = tmp_path / "key.toml"
    spec = ", ".join(f"{key} = {json.dumps(value)}" for key, value in TINY.items())
    lines = [f'data = "{triads}"', 'task = "key"', f"backbone = {{{spec}}}", "head = {hidden = 0}", "[training]",
             "steps = 2", "batch_size = 4", 'precision = "float32"',
             "[grid]", 'method = ["probe", "bitfit"]']  # fmt: skip
    study.write_text("\n".join(lines))
    monkeypatch.setattr("sordino.adapters.FOLDER", tmp_path / "shipped")
    monkeypatch.setattr(build_adapters, "UNHEARD", str(triads))
    chosen = build_adapters.build(study, tmp_path / "runs", (), lambda *_: None)
    card, data = read_card(tmp_path / "shipped" / "key.adapter"), str(triads)
    assert chosen["data"][data]["plain"]["score"] == 1.0 and chosen["use"] == "plain"  # two steps do not beat it
    assert card["scores"]["data"][data]["adapter"]["score"] == pytest.approx(
        card["metrics"]["key"]["weighted_score"], abs=1e-4)  # fmt: skip
    told = (tmp_path / "shipped" / "key.adapter" / "README.md").read_text()
    assert "| weighted_score on | tracks | adapter | chroma template |" in told and "| 6 | " in told
    (tmp_path / "shipped" / "choices.json").write_text(json.dumps({"key": chosen}))
    assert "key" in sources()[1]
    (tmp_path / "shipped" / "choices.json").write_text(json.dumps({"key": {**chosen, "use": "adapter"}}))
    assert sources()[0]["key"] == tmp_path / "shipped" / "key.adapter"
    (answer,) = SongCard().files([song])
    assert "by" not in answer["key"].details
