"""Runs that begin with what other runs have trained."""

import json

import pytest
import torch

from sordino.config import Training, load_config
from sordino.model import FRONTEND
from sordino.study.side_by_side import run_all
from sordino.training.beginning import AS_USUAL, begin, usual_probe
from sordino.training.plan import first_config, open_run
from sordino.training.run import carry_out, train
from tests.conftest import TINY

STEPS = {"steps": 4, "batch_size": 6, "lr": 3e-2, "validate_every": 2, "precision": "float32"}


def config(triads, method="lora", seed=0, **values):
    values = {"training": STEPS, **values}
    return load_config(None, (), data=str(triads), backbone=TINY, method=method, seed=seed, **values)


def begun(settings, out):
    plan = open_run(settings, out)
    return begin(plan, carry_out).model


def parts(model, first, last=None):
    return [
        {name: value.clone() for name, value in own.tensors().items()} for own in model.backbone.attached[first:last]
    ]


def same(mine, theirs):
    return all(torch.equal(a[name], b[name]) for a, b in zip(mine, theirs, strict=True) for name in a)


def test_a_table_names_only_what_differs(triads):
    settings = config(triads, seed=3, after=[{"method": "probe", "training": {"steps": 7}}])
    first = first_config(settings, settings.after[0])
    assert first.method == {"name": "probe"} or first.method == "probe"
    assert (first.training.steps, first.training.lr, first.seed) == (7, 3e-2, 3)
    assert first.after == []
    assert settings.training.steps == 4
    with pytest.raises(ValueError, match=r"stpes"):
        config(triads, after=[{"training": {"stpes": 7}}])
    with pytest.raises(ValueError, match=r"backbone"):
        config(triads, after=[{"backbone": "mert"}])


@pytest.mark.parametrize("method", ["lora", "prefix", "finetune", "lora+adapter"])
def test_training_starts_from_parts_and_heads(method, triads, tmp_path):
    settings = config(triads, method, after=[{"seed": 5}])
    first = train(first_config(settings, settings.after[0]), tmp_path).model()
    model = begun(settings, tmp_path)
    assert same(parts(model, 0), parts(first, 0))
    assert torch.equal(*(m.heads["key"].state_dict()["mlp.0.weight"] for m in (model, first)))
    assert all(torch.equal(model.backbone.get_parameter(n), first.backbone.get_parameter(n)) for n in first.unfrozen)
    # nothing that is learned afterwards is worse on the validation tracks than what it began with
    run = train(settings, tmp_path)
    log = [json.loads(line) for line in (run.folder / "log.jsonl").read_text().splitlines()]
    assert log[0]["step"] == 0
    assert run.result["best_validation"] >= log[0]["validation"]["key"]


def test_several_are_averaged(triads, tmp_path):
    settings = config(triads, after=[{"seed": 5}, {"seed": 6}])
    trained = [train(first_config(settings, table), tmp_path).model() for table in settings.after]
    ours, (one, two) = parts(begun(settings, tmp_path), 0)[0], [parts(model, 0)[0] for model in trained]
    assert not same([one], [two])
    assert all(torch.allclose(ours[name], (one[name] + two[name]) / 2) for name in ours)


def test_another_task_gets_a_new_head(triads, tmp_path):
    other = {"name": "classification", "label": "key"}
    settings = config(triads, after=[{"task": other}])
    model, plain = begun(settings, tmp_path), begun(config(triads), tmp_path)
    assert torch.equal(*(m.heads["key"].state_dict()["mlp.0.weight"] for m in (model, plain)))
    assert not same(parts(model, 0), parts(plain, 0))


def test_another_method_cannot_be_started_from(triads, tmp_path):
    with pytest.raises(ValueError, match=r"lora cannot start from the parts of adapter .*frozen"):
        train(config(triads, after=[{"method": "adapter"}]), tmp_path)


@pytest.mark.parametrize("beneath", ["lora", "adapter", "prefix", "prompt", "finetune", "lora+ssf"])
def test_frozen_beneath_stays_as_it_is_and_is_heard(beneath, triads, tmp_path):
    settings = config(triads, "probe", seed=1, after=[{"method": beneath, "seed": 5}], after_as="frozen")
    first = train(first_config(settings, settings.after[0]), tmp_path).model()
    run = train(settings, tmp_path)
    model = run.model()
    assert same(parts(model, 0, len(first.methods)), parts(first, 0))
    assert all(torch.equal(model.backbone.get_parameter(n), first.backbone.get_parameter(n)) for n in first.unfrozen)
    assert run.result["parameters"]["method"] == 0
    sound = torch.randn(2, 24_000)
    with torch.no_grad():
        states = [m.backbone.encode(m.backbone.frontend(sound, None))[-1] for m in (model, first)]
    assert torch.allclose(*states, atol=1e-6)
    plain = open_run(config(triads, "probe", seed=1), tmp_path)
    with torch.no_grad():
        bare = plain.backbone.encode(plain.backbone.frontend(sound, None))[-1]
    assert not torch.allclose(states[0], bare, atol=1e-4)
    # the whole is in the adapter file, and answers as the run did
    assert run.result["tasks"]["key"]["metrics"] == train(settings, tmp_path).result["tasks"]["key"]["metrics"]


@pytest.mark.parametrize("cache", ["off", "float32"])
def test_a_second_part_learns_above_a_frozen_one(cache, triads, tmp_path):
    settings = config(
        triads, {"name": "lora", "layers": "2"}, after=[{"method": "adapter"}], after_as="frozen",
        training={**STEPS, "cache": cache},
    )  # fmt: skip
    model = begun(settings, tmp_path)
    assert model.start == 1 > FRONTEND  # only the new parts need gradients
    assert {name.split(".")[1] for name in model.trained() if name.startswith("attachments")} == {"1"}
    before = parts(model, 0)
    run = train(settings, tmp_path)
    after = parts(run.model(), 0)
    assert same(before[:1], after[:1])
    assert not same(before[1:], after[1:])


def test_stored_states_of_what_is_beneath_are_not_mistaken(triads, tmp_path):
    """The store keeps states of a network with and without a frozen part apart; with the store as without it."""

    def scores(cache):
        settings = config(triads, "probe", after=[{"method": "lora"}], after_as="frozen",
                          training={**STEPS, "cache": cache, "steps": 20})  # fmt: skip
        train(config(triads, "probe", training={**STEPS, "cache": cache}), tmp_path / cache)
        return train(settings, tmp_path / cache).result["tasks"]["key"]["per_track"]

    assert scores("off") == scores("float32")


def test_what_went_before_decides_the_run(triads, tmp_path):
    names = [
        open_run(config(triads, after=after), tmp_path).folder.name for after in ([], [{"seed": 5}], [{"seed": 6}])
    ]
    assert len(set(names)) == 3
    probe_first = config(triads, after=[{"seed": 5}], training={**STEPS, "head_first": {"steps": 3}})
    assert isinstance(probe_first.training, Training)
    found = run_all([config(triads, "probe", after=[{"method": "lora"}], after_as="frozen"), probe_first], tmp_path)
    assert all(run.result["steps"] == 4 for run in found)


def test_a_probe_goes_first_where_nobody_says_how_long_and_its_states_are_stored(triads):
    def usual(method="lora", **values):
        return usual_probe(config(triads, method, **values))

    assert usual(training={}) == AS_USUAL == usual("prefix+probe", training={"cache": "float16"})
    assert usual("probe", training={}) is usual("side", training={}) is None  # heads alone need none
    for settings in ({"steps": 7}, {"augment": ["gain"]}, {"cache": "off"}):
        assert usual(training=settings) is None
    assert usual(after=[{"seed": 5}], training={}) is None
    assert usual(training={"head_first": {}}) == {} and usual(training={"head_first": {"steps": 3}}) == {"steps": 3}
    left_open, none = (open_run(config(triads, training={**STEPS, **own}), "runs") for own in ({}, {"head_first": {}}))
    assert left_open.folder == none.folder  # elsewhere to leave it open is to have none
