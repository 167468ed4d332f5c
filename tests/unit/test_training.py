"""Training: learns what is there, resumes exactly, never runs twice, refuses leaks and wrong labels."""

import json
import math

import pytest
import soundfile
import torch
from safetensors.torch import load_file

import sordino
from sordino.config import Training, load_config
from sordino.training import step as step_module
from sordino.training.cost import peak_memory_bytes
from sordino.training.plan import open_run
from sordino.training.run import carry_out, train
from sordino.training.schedule import Schedule, learning_rate
from tests.conftest import TINY

SETTINGS = {"steps": 12, "batch_size": 6, "lr": 1e-2, "validate_every": 4, "precision": "float32"}


def config(triads, **values):
    settings = {**SETTINGS, **values.pop("training", {})}
    return load_config(None, (), data=str(triads), backbone=TINY, training=settings, **values)


class Killed(BaseException):
    """Stands for a signal."""


ADALORA = {"name": "adalora", "r": 1, "r_initial": 2, "final": 0.25, "prune_every": 1}


@pytest.mark.parametrize("method", ["lora", "finetune", ADALORA], ids=["lora", "finetune", "adalora"])
def test_a_killed_run_ends_as_an_undisturbed_one(method, triads, tmp_path, monkeypatch):
    head = {"hidden": 8, "dropout": 0.5}  # dropout draws random numbers, which must be the same again
    whole = train(config(triads, method=method, head=head), tmp_path / "whole")
    killed = config(triads, method=method, head=head, training={"checkpoint_s": 0.0})
    step = step_module.Step._taken

    for last in (5, 9):  # killed in the middle of a step, twice

        def dying(self, wrapped, optimiser, number, steps, last=last):
            if number == last:
                raise Killed
            return step(self, wrapped, optimiser, number, steps)

        monkeypatch.setattr(step_module.Step, "_taken", dying)
        with pytest.raises(Killed):
            train(killed, tmp_path / "killed")
        assert open_run(killed, tmp_path / "killed").finished() is None
    monkeypatch.setattr(step_module.Step, "_taken", step)
    again = train(killed, tmp_path / "killed")

    assert again.result["tasks"] == whole.result["tasks"]
    trained, wanted = again.model().trained_state(), whole.model().trained_state()
    assert all(torch.equal(value, wanted[name]) for name, value in trained.items())
    assert (again.folder / "log.jsonl").read_text() == (whole.folder / "log.jsonl").read_text()
    assert not (again.folder / "checkpoint").exists()


def test_full_finetuning_learns_pure_triads(triads, tmp_path):
    settings = {"steps": 150, "lr": 3e-3, "validate_every": 30}
    run = train(config(triads, method="finetune", head={"hidden": 0}, training=settings), tmp_path)
    assert run.result["tasks"]["key"]["metrics"]["accuracy"] == 1.0


def test_a_finished_run_is_only_read(triads, tmp_path, monkeypatch):
    first = train(config(triads, method="probe"), tmp_path)
    monkeypatch.setattr("sordino.training.run.Loop", None)  # would fail if it were called
    again = train(config(triads, method="probe"), tmp_path)
    assert again.result == first.result


def test_two_tasks_share_one_adapter(triads, tmp_path):
    run = sordino.adapt(triads, ["key", "tempo"], "lora", TINY, tmp_path, training={**SETTINGS, "steps": 3})
    assert set(run.result["tasks"]) == {"key", "tempo"}
    row = run.result["tasks"]["tempo"]
    assert row["n_tracks"] == len(row["per_track"]) == 6
    assert row["interval"][0] <= row["metrics"][row["metric"]] <= row["interval"][1]
    assert set(run.model().tasks) == {"key", "tempo"}


def test_results_say_what_they_depend_on(triads, tmp_path):
    result = train(config(triads, method="lora", training={"steps": 2}), tmp_path).result
    assert result["weights"] == "random (seed 0)"
    assert result["protocol"]["tracks"] == {"train": 12, "validation": 6, "test": 6}
    assert result["parameters"]["method"] > 0 and result["peak_memory_bytes"] > 0 and result["step_s"] > 0
    assert result["versions"]["torch"] == torch.__version__


@pytest.mark.parametrize("cache", ["off", "float16"])
def test_the_cache_changes_only_the_speed(cache, triads, tmp_path):
    kept = train(config(triads, method="probe"), tmp_path)
    other = train(config(triads, method="probe", training={"cache": cache}), tmp_path)
    for one, two in zip(*(run.result["tasks"]["key"]["per_track"] for run in (kept, other)), strict=True):
        assert one["estimated"] == two["estimated"]


def test_a_head_can_be_trained_first(triads, tmp_path):
    probe = {"steps": 40, "lr": 1e-2, "validate_every": 4}
    shared = train(config(triads, method="probe", training=probe), tmp_path)
    settings = {"steps": 1, "lr": 1e-12, "validate_every": 1, "head_first": probe}
    run = train(config(triads, method="lora", training=settings), tmp_path)
    assert run.result["tasks"]["key"]["metrics"] == shared.result["tasks"]["key"]["metrics"]
    first = json.loads((run.folder / "log.jsonl").read_text().splitlines()[0])
    assert first["step"] == 0 and first["validation"]["key"] == shared.result["best_validation"]
    with pytest.raises(ValueError, match=r'did you mean "training\.head_first\.steps"'):
        train(config(triads, method="lora", training={"head_first": {"step": 4}}), tmp_path)


def test_an_unlabelled_task_is_named(triads, tmp_path):
    with pytest.raises(ValueError, match=r'task chord: unknown label "chord"'):
        train(config(triads, task="chord"), tmp_path)


def test_a_track_in_two_splits_is_refused(triads, tmp_path):
    lines = triads.read_text().splitlines()
    leak = tmp_path / "leak.csv"
    twice = [*lines[1:], lines[1].replace("train", "test")]
    rows = [f"{triads.parent}/{line},{number}" for number, line in enumerate(twice)]
    leak.write_text("\n".join([f"{lines[0]},id", *rows]) + "\n")
    with pytest.raises(ValueError, match="clip 0"):
        train(load_config(None, (), data=str(leak), backbone=TINY), tmp_path)


def test_a_broken_file_is_left_out_and_told(triads, tmp_path, capsys):
    lines = triads.read_text().replace("clip ", f"{triads.parent}/clip ").splitlines()
    (tmp_path / "broken.wav").write_bytes(b"RIFF")
    table = tmp_path / "with broken.csv"
    table.write_text("\n".join([*lines, lines[1].replace(f"{triads.parent}/clip 0.wav", "broken.wav")]) + "\n")
    run = train(load_config(None, (), data=str(table), backbone=TINY, method="probe", training=SETTINGS), tmp_path)
    assert any("broken.wav" in line for line in run.result["broken"])
    assert "broken.wav" in capsys.readouterr().err


def test_augmentation_trains(triads, tmp_path):
    settings = {"steps": 3, "segment_s": 1.0, "augment": ["gain", "noise"]}
    run = train(config(triads, method="lora", training=settings), tmp_path)
    assert math.isfinite(run.result["tasks"]["key"]["metrics"]["accuracy"])


@pytest.mark.parametrize("cache", ["off", "waveform"])
def test_random_crops_train_and_resume(cache, triads, tmp_path, monkeypatch):
    settings = {"steps": 8, "segment_s": 0.5, "crops": "random", "checkpoint_s": 0.0, "cache": cache}
    whole = train(config(triads, method="lora", training=settings), tmp_path / "whole")
    assert whole.result["protocol"]["crops"] == "random"
    step = step_module.Step._taken

    def dying(self, wrapped, optimiser, number, steps):
        if number == 5:
            raise Killed
        return step(self, wrapped, optimiser, number, steps)

    monkeypatch.setattr(step_module.Step, "_taken", dying)
    with pytest.raises(Killed):
        train(config(triads, method="lora", training=settings), tmp_path / "killed")
    monkeypatch.setattr(step_module.Step, "_taken", step)
    again = train(config(triads, method="lora", training=settings), tmp_path / "killed")
    assert again.result["tasks"] == whole.result["tasks"]


def schedule(n_rows, heads_only=False, **settings):
    return Schedule(Training(batch_size=16, **settings), n_rows, heads_only)


def test_steps_follow_the_data_where_they_are_not_set():
    assert schedule(800).steps == 1000
    assert schedule(8).steps == 100
    assert schedule(80, heads_only=True).steps == 1000
    assert schedule(10**6).steps == 20_000
    assert schedule(10**6, steps=7).steps == 7


def test_training_ends_when_nothing_gets_better():
    usual = schedule(800)  # validates every 50 steps
    assert not usual.ends(599, 300)
    assert usual.ends(600, 300)
    assert usual.ends(1000, 1000)
    assert not schedule(800, steps=1000).ends(999, 0)
    assert schedule(800, steps=1000, patience=2, validate_every=10).ends(30, 10)


def test_a_run_that_gets_no_better_stops_and_keeps_its_best(triads, tmp_path):
    settings = {"steps": 400, "lr": 0.0, "validate_every": 2, "patience": 3}
    run = train(config(triads, method="probe", training=settings), tmp_path)
    assert (run.result["steps"], run.result["best_step"]) == (8, 2)


def test_the_rate_falls_on_half_a_cosine():
    rates = [learning_rate(step, 100, 1.0, 0.1, "cosine") for step in (0, 50, 100)]
    assert rates == pytest.approx([1.0, 0.55, 0.1])
    assert learning_rate(70, 100, 1.0, 0.1, "constant") == 1.0
    assert [learning_rate(step, 100, 0.0, 1e-7, "cosine") for step in (0, 50, 99)] == [0.0] * 3


def test_peak_memory_counts_what_lives_at_once():
    layer = torch.nn.Linear(1000, 1000, bias=False)  # 4 MB, gradient 4 MB, Adam 8 MB
    x = torch.ones(1000, 1000)
    peak = peak_memory_bytes(layer, lambda: layer(x).square().mean())
    assert 12e6 + 4e6 + 4e6 <= peak <= 12e6 + 6.1 * 4e6
    assert layer.weight.grad is None


def test_every_setting_is_read():
    """A field of Training that no code reads would be a dead option."""
    from pathlib import Path

    text = "".join(path.read_text() for path in Path(step_module.__file__).parent.glob("*.py"))
    unread = [name for name in vars(Training()) if f".{name}" not in text]
    assert not unread


def test_bad_settings_are_told_before_training(triads, tmp_path):
    with pytest.raises(ValueError, match=r'did you mean "lora"'):
        train(config(triads, method="lorra"), tmp_path)
    with pytest.raises(ValueError, match=r'unknown setting "method\.rank"'):
        train(config(triads, method={"name": "lora", "rank": 4}), tmp_path)


def test_learned_on_one_corpus_and_tested_on_another(triads, tmp_path):
    """The other's test tracks and no others are scored, whatever is in its other splits."""
    rows = triads.read_text().splitlines()
    folder = tmp_path / "other"
    folder.mkdir()
    lines = [row.replace("clip ", f"{triads.parent}/clip ") for row in rows]
    (folder / "labels.csv").write_text("\n".join([lines[0], *lines[1:7], *lines[-4:]]) + "\n")
    found = open_run(config(triads, method="probe", test=str(folder / "labels.csv")), tmp_path)
    splits = {split: [track for track in found.tracks if track.split == split] for split in ("train", "test")}
    assert len(splits["train"]) == 12 and len(splits["test"]) == 4
    assert {track.path for track in splits["train"]} == {triads.parent / f"clip {n}.wav" for n in range(12)}
    same = open_run(config(triads, method="probe"), tmp_path)
    assert same.folder != found.folder and len([t for t in same.tracks if t.split == "test"]) == 6
    result = carry_out(found).result
    assert result["protocol"]["tracks"]["test"] == 4 and result["config"]["test"] == str(folder / "labels.csv")
    assert result["protocol"]["dataset"] == "folder, tested on folder"
    (folder / "labels.csv").write_text("\n".join([lines[0], *lines[1:7]]) + "\n")
    with pytest.raises(ValueError, match="no track of it is in a test split"):
        open_run(config(triads, method="probe", test=str(folder / "labels.csv")), tmp_path)


def test_learned_from_random_crops_and_tested_by_the_mean_of_segments(triads, tmp_path):
    """As the paper does; a test track of 2.3 s has two segments of 1.12 s, its last 60 ms are left out."""
    settings = {"crops": "random", "cache": "off", "segment_s": 1.12, "lr": 1e-2, "steps": 30}
    run = train(config(triads, method="probe", training=settings), tmp_path)
    assert run.result["protocol"]["crops"] == "random" and run.result["protocol"]["segment_s"] == pytest.approx(1.12)
    model, length = run.model(), 28 * 960
    scored = run.result["tasks"]["key"]["per_track"]
    assert len(scored) == 6 and len({row["estimated"] for row in scored}) > 1
    answered = sordino.predict(
        [triads.parent / f"clip {n}.wav" for n in range(18, 24)], run.adapter, precision="float32"
    )
    for number, row, found in zip(range(18, 24), scored, answered, strict=True):
        wave = torch.from_numpy(soundfile.read(triads.parent / f"clip {number}.wav", dtype="float32")[0])
        both = torch.stack([wave[:length], wave[length : 2 * length]])
        with torch.no_grad():
            mean = model.predict(both)["key"].softmax(-1).mean(0)
        assert row["estimated"] == model.tasks["key"].decode(mean.numpy()).value == found.answers["key"].value
        assert found.answers["key"].confidence == pytest.approx(float(mean.max()), abs=1e-4)


def test_a_method_starts_from_the_rows_of_the_first_steps(triads, tmp_path):
    """EVA's A is then made of principal axes, which are orthogonal; four steps of a tiny rate do not move it."""
    training = {"steps": 4, "lr": 1e-7, "validate_every": 4}
    run = train(config(triads, method={"name": "eva", "r": 3, "roles": "attn.q"}, training=training), tmp_path)
    found = [value for name, value in load_file(run.adapter / "adapter.safetensors").items() if name.endswith(":A")]
    assert len(found) == 2
    for axes in found:
        torch.testing.assert_close(axes @ axes.T, torch.eye(3), rtol=1e-3, atol=1e-3)
