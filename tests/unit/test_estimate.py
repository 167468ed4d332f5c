"""What a study will take, told before it starts: sound and bytes counted, times from what was measured."""

import pytest
import torch

from sordino.config import load_config
from sordino.datasets import Folds, load_dataset
from sordino.study import estimate
from sordino.study.estimate import Estimate, all_seconds, duration, estimates, foretold, told
from sordino.study.side_by_side import run_all
from sordino.study.sound import Sound
from sordino.study.speed import Speed
from sordino.training.plan import open_run
from tests.conftest import TINY

LENGTHS_S = [2.0 + 0.1 * (n // 6) for n in range(24)]  # of the table of triads: 12 train, 6 validation, 6 test
CUT_S = 12 * 2 + 6 * 3 + 6 * 3  # in segments of 1 s; a tail of a tenth gives one more where it is answered


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SORDINO_CACHE", str(tmp_path / "cache"))


def config(triads, method="lora", **training):
    settings = {
        "steps": 40,
        "batch_size": 6,
        "segment_s": 1.0,
        "validate_every": 10,
        "precision": "float32",
        **training,
    }
    return load_config(None, (), data=str(triads), backbone=TINY, method=method, training=settings)


def test_hours_and_runs_are_counted(triads):
    found = estimates(
        [config(triads), config(triads, "probe"), load_config(None, (), **vars(config(triads)) | {"seed": 1})]
    )
    assert [(one.name, one.n_runs, one.steps) for one in found] == [("lora", 2, 40), ("probe", 1, 40)]
    assert found[0].sound.hours == pytest.approx(sum(LENGTHS_S) / 3600, rel=1e-4)
    assert found[0].sound.tracks == {"train": 12, "validation": 6, "test": 6}


@pytest.mark.parametrize(("cache", "n_bytes"), [("float32", 4), ("float16", 2), ("off", 0), ("waveform", 0)])
def test_bytes_are_those_that_a_run_stores(triads, tmp_path, cache, n_bytes):
    from sordino.store_chunks import contents

    one = config(triads, "probe", cache=cache, steps=1)
    (told_before,) = estimates([one])
    seen = []
    run_all([one], tmp_path / "runs", before=lambda plans: seen.extend(estimates([p.config for p in plans], plans)))
    stored = sum(chunk["n_bytes"] for chunk in contents())
    for found in (told_before, *seen):
        assert sum(found.stored.values()) == pytest.approx(stored, rel=5e-3)
        assert bool(found.stored) == (cache != "off")
    if n_bytes:
        assert stored == CUT_S * 25 * 32 * n_bytes
    again = []
    run_all([one], tmp_path / "runs", before=again.extend)
    assert not again  # what is finished takes nothing


def test_time_follows_from_the_speed(triads, monkeypatch):
    monkeypatch.setattr(estimate, "measured", lambda *_: Speed(constant=1.0, step=10.0, anyhow=2.0))
    stored, anew = estimates([config(triads), config(triads, crops="random", cache="off")])
    answered_s = 4 * 18 + 18
    trained_s, anyhow_s = 40 * 6 * 1.0, 40 * 2.0
    assert anew.seconds == pytest.approx(
        anyhow_s + (trained_s + answered_s) * 1 + (trained_s + answered_s / 3) * 10, rel=5e-3
    )
    assert stored.seconds == pytest.approx(anyhow_s + CUT_S * 1 + (trained_s + answered_s / 3) * 10, rel=5e-3)
    monkeypatch.setattr(estimate, "changing", lambda *_: 100.0)
    (shifted,) = estimates([config(triads, crops="random", cache="off", augment=["pitch_shift"])])
    assert shifted.seconds == pytest.approx(anew.seconds + trained_s * 100, rel=5e-3)


def test_the_lines_say_what_does_not_fit_and_what_is_not_here(monkeypatch):
    monkeypatch.setenv("SORDINO_CACHE_GB", "1")
    sound = Sound({"train": 1.0}, {"train": 7200.0}, [])
    rows = [
        Estimate("lora", 3, 1000, sound, 3600.0, {"a": 6e8, "b": 6e8}, ["weights of mert: fetch them"]),
        Estimate("probe", 1, 100, sound, 30.0, {"b": 6e8}, ["weights of mert: fetch them"]),
    ]
    lines = told(rows)
    assert lines[1].split() == ["lora", "3", "1,000", "2.0", "1.2", "60.0", "min"]
    assert lines[3].startswith("in all 4 runs, 1.2 GB to be stored (1.0 GB are free for it), 3.0 h one after the other")
    assert lines[4].startswith("that does not fit: set training.cache")
    assert lines[5:] == ["not here: weights of mert: fetch them"]
    assert [duration(s) for s in (5, 150, 9000, 400_000)] == ["5.0 s", "2.5 min", "2.5 h", "4.6 days"]


def test_what_is_stored_is_computed_once_for_all_runs():
    sound = Sound({"train": 1.0}, {"train": 7200.0}, [])
    seeds = Estimate("lora", 6, 100, sound, 50.0, storing={"a": 20.0})  # 30 s for each run's own
    other = Estimate("probe", 1, 100, sound, 35.0, storing={"a": 20.0, "b": 10.0})
    assert all_seconds([seeds]) == 6 * 30 + 20
    assert all_seconds([seeds, other]) == 6 * 30 + 5 + 20 + 10


def test_folds_are_told_as_one(triads, tmp_path, monkeypatch):
    monkeypatch.setattr(estimate, "measured", lambda *_: Speed(constant=2.0, step=10.0, anyhow=3.0))
    plans = [open_run(config(triads), tmp_path, dataset=fold) for fold in Folds(load_dataset(str(triads)), 4).folds]
    once = (18 * 2 + 6 * 3) * 2.0  # every row by what is frozen
    own = 40 * 3.0 + (40 * 6 * 1.0 + 6 * 3 / 3) * 10
    assert foretold(plans[:1]).startswith(f"about {duration(own + once)} on this machine")
    told_of_all = f"about {duration(4 * own + once)} for 4 runs (the first one's score after {duration(own + once)})"
    assert foretold(plans).startswith(told_of_all)


def test_nothing_is_left_attached_and_random_weights_serve(triads):
    torch.manual_seed(0)
    before = torch.random.get_rng_state()
    (found,) = estimates([load_config(None, (), data=str(triads), backbone={"name": "musicfm", "depth": 1},
                                      method="probe", training={"steps": 1, "segment_s": 0.2})])  # fmt: skip
    assert found.seconds > 0 and found.lacking[0].startswith("weights of musicfm: Fetch pretrained_msd.pt")
    assert torch.equal(before, torch.random.get_rng_state())
