"""Numbers that are none, a full device, nothing to score, broken files: what was learned is kept, and it is said."""

import json
import math
import shutil

import numpy as np
import pytest
import soundfile
import torch

from sordino.answering import NotANumber
from sordino.config import load_config
from sordino.training.adapter_scores import evaluate_adapter
from sordino.training.run import train
from sordino.training.step import Step
from tests.conftest import RATE_HZ, TINY

SETTINGS = {"steps": 6, "batch_size": 8, "lr": 1e-2, "validate_every": 2, "precision": "float32", "segment_s": 1.0}


def config(table, **values):
    settings = {**SETTINGS, **values.pop("training", {})}
    return load_config(None, (), data=str(table), task="key", backbone=TINY, method="lora", training=settings,
                       head={"hidden": 0, "dropout": 0.0}, **values)  # fmt: skip


def spoiled(monkeypatch, at_step, value=math.nan):
    """From a step on the loss is no number."""
    loss, steps = Step._loss, []

    def wrong(self, wrapped, part, targets, counts):
        steps.append(1)
        found = loss(self, wrapped, part, targets, counts)
        return found * value if len(steps) > at_step + 1 else found  # the first one measures memory

    monkeypatch.setattr(Step, "_loss", wrong)


def test_divergence_keeps_the_best_so_far_and_names_the_tracks(triads, tmp_path, monkeypatch, capsys):
    spoiled(monkeypatch, 3)
    run = train(config(triads), tmp_path)
    assert run.result["best_step"] == 2 and run.result["steps"] == 3
    (note,) = run.result["notes"]
    assert note.startswith("training diverged and was ended: the loss is nan at step 3 (with clip ")
    assert (
        note.endswith("lower the learning rate (training.lr); kept are the weights of step 2")
        and note in capsys.readouterr().err
    )
    assert all(torch.isfinite(value).all() for value in run.model().trained_state().values())


def test_divergence_before_anything_was_learned_is_an_error_with_the_tracks(triads, tmp_path, monkeypatch):
    spoiled(monkeypatch, 0)
    with pytest.raises(ValueError, match=r"the loss is nan at step 0 \(with clip .* and \d more\); lower the learning"):
        train(config(triads), tmp_path)
    assert not list(tmp_path.rglob("result.json"))


@pytest.mark.parametrize("clip", [1.0, 0.0])
def test_a_gradient_that_is_no_number_never_reaches_the_weights(clip, triads, tmp_path, monkeypatch):
    spoiled(monkeypatch, 3, 1e38)  # the loss is finite, its gradient overflows
    backward, steps = torch.Tensor.backward, []

    def wrong(self, *args, **kwargs):
        backward(self, *args, **kwargs)
        steps.append(1)

    monkeypatch.setattr(torch.Tensor, "backward", wrong)
    run = train(config(triads, training={"clip": clip}), tmp_path)
    assert all(torch.isfinite(value).all() for value in run.model().trained_state().values())


class Room:
    """A device that holds so many rows."""

    def __init__(self, monkeypatch, most):
        self.loss, self.seen = Step._loss, []
        monkeypatch.setattr(Step, "_loss", lambda loop, *args: self(most, loop, *args))

    def __call__(self, most, loop, wrapped, part, targets, counts):
        self.seen.append(len(part))
        if len(part) > most:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return self.loss(loop, wrapped, part, targets, counts)


def test_a_full_device_halves_the_batch_and_the_gradient_stays(triads, tmp_path, monkeypatch, capsys):
    parted = train(config(triads, training={"accumulate": 4}), tmp_path / "parted")
    with monkeypatch.context() as patch:
        room = Room(patch, 3)
        full = train(config(triads), tmp_path / "full")
    assert room.seen[:4] == [8, 4, 2, 2] and set(room.seen[2:]) == {2}
    assert full.result["notes"][-1] == "cpu was full: a step of 8 rows is computed in 4 parts"
    assert full.result["notes"][-1] in capsys.readouterr().err
    wanted = full.model().trained_state()
    assert all(torch.equal(value, wanted[name]) for name, value in parted.model().trained_state().items())


def test_a_device_without_room_for_a_row_is_told(triads, tmp_path, monkeypatch):
    Room(monkeypatch, 0)
    with pytest.raises(MemoryError, match=r"cpu has no room for one row of a step; shorten training\.segment_s"):
        train(config(triads), tmp_path)


def table(triads, folder, change):
    """The triads' table with changed lines, beside links to the sounds."""
    folder.mkdir()
    for path in triads.parent.glob("clip*.wav"):
        shutil.copy(path, folder)
    lines = triads.read_text().splitlines()
    (folder / "labels.csv").write_text("\n".join([lines[0], *filter(None, map(change, lines[1:]))]) + "\n")
    return folder / "labels.csv"


def test_without_a_test_track_nothing_is_trained(triads, tmp_path):
    none = table(triads, tmp_path / "none", lambda line: None if line.endswith("test") else line)
    with pytest.raises(
        ValueError, match=r'no track of the split test has a label "key" \(task key\), so nothing could'
    ):
        train(config(none), tmp_path / "runs")
    run = train(config(triads), tmp_path / "runs")
    with pytest.raises(ValueError, match="no track of the split test has"):
        evaluate_adapter(run.adapter, none)


def test_more_broken_than_allowed_ends_with_the_reasons(triads, tmp_path):
    broken = table(triads, tmp_path / "broken", str)
    for number in (*range(6), *range(12, 20)):
        if number % 2:
            (broken.parent / f"clip {number}.wav").unlink()
        else:
            (broken.parent / f"clip {number}.wav").write_bytes(b"")
    with pytest.raises(
        ValueError, match=r"14 of 24 labelled tracks are missing or broken \(empty file 7, no such file 7\)"
    ):
        train(config(broken), tmp_path / "runs")
    run = train(config(broken, most_broken=0.6), tmp_path / "runs")
    assert len(run.result["broken"]) == 14
    with pytest.raises(ValueError, match=r"\(most_broken\)"):
        evaluate_adapter(run.adapter, broken, split="all")


def test_an_answer_that_is_no_number_is_never_scored(triads, tmp_path, monkeypatch):
    run = train(config(triads), tmp_path)
    from sordino.tasks.key import Key

    monkeypatch.setattr(Key, "probabilities", lambda self, logits: logits * math.nan)
    with pytest.raises(NotANumber, match=r"clip 18\.wav: the model's answer to key is not a number"):
        evaluate_adapter(run.adapter, triads)


def test_tracks_that_were_trained_on_are_counted(triads, tmp_path, capsys):
    run = train(config(triads), tmp_path / "runs")
    told = json.loads((run.adapter / "adapter.json").read_text())["trained_on"]
    assert len(told["names"]) == len(told["sounds"]) == 12 * 16
    clean = evaluate_adapter(run.adapter, triads)["key"]
    assert clean["trained_on"] == 0 and not clean["notes"] and "trained on" not in capsys.readouterr().err
    # another table calls a third of the training tracks test tracks, by other names
    moved = table(triads, tmp_path / "moved", lambda line: line.replace("train", "test") if "clip 1" in line else line)
    for path in (tmp_path / "moved").glob("clip*.wav"):
        path.rename(path.with_name(path.name.replace("clip", "song")))
    moved.write_text(moved.read_text().replace("clip", "song"))
    row = evaluate_adapter(run.adapter, moved)["key"]
    note = "3 of 9 scored tracks were trained on: no measure for new music"
    assert row["trained_on"] == 3 and note in row["notes"] and note in capsys.readouterr().err
    # the same names with sound that was coded anew
    again = table(triads, tmp_path / "again", str)
    for path in (tmp_path / "again").glob("clip*.wav"):
        wave = soundfile.read(path)[0]
        soundfile.write(path, np.round(wave, 3), RATE_HZ)
    row = evaluate_adapter(run.adapter, again, split="all")["key"]
    assert (
        row["trained_on"] == 12
        and "12 of 24 scored tracks were trained on, 12 of them known by their names" in row["notes"][0]
    )


def test_an_adapter_that_tells_nothing_says_so(triads, tmp_path):
    run = train(config(triads), tmp_path)
    path = run.adapter / "adapter.json"
    card = json.loads(path.read_text())
    del card["trained_on"]
    path.write_text(json.dumps(card))
    row = evaluate_adapter(run.adapter, triads)["key"]
    assert row["trained_on"] is None and "does not tell which tracks it was trained on" in row["notes"][0]


def test_a_checkpoint_that_a_killed_process_left_beside_its_result_is_removed(triads, tmp_path):
    run = train(config(triads), tmp_path)
    (run.folder / "checkpoint").mkdir()
    (run.folder / "checkpoint" / "last.pt").write_bytes(b"x")
    assert train(config(triads), tmp_path).result == run.result
    assert not (run.folder / "checkpoint").exists()
