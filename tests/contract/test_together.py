"""Adapters of all methods, resident together on one backbone, answer as each does alone; on every kind of backbone."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from sordino import registry
from sordino.checks.method_case import disturb
from sordino.model import Model
from sordino.petl import make_method
from sordino.tasks import make_task
from sordino.together import Together
from tests.contract.exclusions import reason
from tests.contract.test_methods import CASES

TASKS = ("key", "beat")  # one answers clips, one frames


def residents(backbone):
    """Two models of each method, with other weights, tasks and states read; some at the last layer alone."""
    made = []
    for name, options in CASES:
        if name == "peft":
            pytest.importorskip("peft")
        for seed, layers in enumerate((options.get("layers", "all"), "last")):
            own = {**options, "layers": layers}
            if not reason(name, own, backbone.name):
                made.append((make_method(name, **own), make_task(TASKS[(len(made) + seed) % 2])))
    made += [(make_method("probe"), make_task("key")), (make_method("lora"), make_task("beat"))]
    models = []
    for number, (method, task) in enumerate(made):
        task.fit([])
        reads = "all" if number % 3 == 0 and method.name not in ("mix", "side") else "last"
        models.append(Model(backbone, [task], [method], {"layers": reads}, seed=number))
    lower = [make_method("lora", layers="1"), make_method("bitfit", layers="1")]  # two methods, up to state 1
    models.append(Model(backbone, [models[0].tasks.get("key") or make_task("beat")], lower, {"layers": "1"}, seed=99))
    for number, model in enumerate(models):
        torch.manual_seed(number)
        disturb(model.trained().values())
    return models


@pytest.fixture(scope="module", params=registry.names("backbone"))
def prepared(request):
    backbone = registry.find("backbone", request.param).tiny().freeze()
    waveform = 0.1 * torch.randn(3, int(0.5 * backbone.sample_rate_hz), generator=torch.Generator().manual_seed(1))
    n_samples = torch.tensor([waveform.shape[1], waveform.shape[1] * 3 // 5, waveform.shape[1]])
    waveform[1, n_samples[1] :] = 0
    return backbone, residents(backbone), waveform, n_samples


@pytest.fixture(scope="module")
def alone(prepared):
    """What each answers by itself, to one clip and to all."""
    _, models, waveform, n_samples = prepared
    with torch.no_grad():
        return {
            padded: [model.predict(*((waveform, n_samples) if padded else (waveform[:1], None))) for model in models]
            for padded in (False, True)
        }


def assert_same(found, expected):
    for own, alone in zip(found, expected, strict=True):
        for name, logits in alone.items():
            torch.testing.assert_close(own[name], logits, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("n_rows", "padded"), [(2, False), (9, True), (1000, True)])
def test_together_as_alone(prepared, alone, n_rows, padded):
    backbone, models, waveform, n_samples = prepared
    asked = (waveform, n_samples) if padded else (waveform[:1], None)
    with torch.no_grad():
        assert_same(Together(backbone, models, n_rows)(*asked), alone[padded])
    assert len({float(logits.sum()) for own in alone[padded] for logits in own.values()}) == len(models)


def test_where_all_are_alone_the_bits_are_the_same(prepared, alone):
    backbone, models, waveform, _ = prepared
    with torch.no_grad():
        for model, expected in zip(models[::2], alone[False][::2], strict=True):
            (found,) = Together(backbone, [model], 1)(waveform[:1])
            assert all(torch.equal(found[name], logits) for name, logits in expected.items())


def test_what_is_frozen_is_computed_once(prepared, monkeypatch):
    """The frontend once, and each layer once for all probes however many they are."""
    backbone, _, waveform, _ = prepared
    probes = [Model(backbone, [make_task("beat")], [make_method("probe")], seed=seed) for seed in range(5)]
    together = Together(backbone, probes, 8)
    ran = []
    for layer in together.backbone.layers:
        layer.register_forward_hook(lambda module, *_: ran.append(module))
    frontend = together.backbone.frontend
    monkeypatch.setattr(together.backbone, "frontend", lambda *args: ran.append("frontend") or frontend(*args))
    for probe in probes:
        for layer in probe.backbone.layers:
            layer.register_forward_hook(lambda *_: pytest.fail("a probe ran the backbone itself"))
    together(waveform)
    assert ran == ["frontend", *together.backbone.layers]


def test_a_frozen_product_is_made_once_for_all_rows(prepared):
    backbone, _, waveform, _ = prepared
    roles = {site.role for site in backbone.sites()}
    if "attn.q" not in roles:
        pytest.skip("the roles are those of a transformer")
    models = [Model(backbone, [make_task("beat")], [make_method("lora")], seed=seed) for seed in range(3)]
    for model in models:
        for layer in model.backbone.layers:
            layer.register_forward_hook(lambda *_: pytest.fail("it ran alone"))
    Together(backbone, models, 9)(waveform)
    with pytest.raises(pytest.fail.Exception, match="alone"):
        Together(backbone, models, 8)(waveform)  # 3 models x 3 rows do not fit: two together, one alone


def test_threads_do_not_disturb_each_other(prepared):
    backbone, models, waveform, n_samples = prepared
    together = Together(backbone, models[::3], 9)
    asked = [(waveform, n_samples), (waveform[:1], None), (waveform[2:].flip(1), None)]
    expected = [together(*each) for each in asked]
    with ThreadPoolExecutor(3) as pool:
        answers = pool.map(lambda number: together(*asked[number % 3]), range(6))
        for found, alone in zip(answers, 2 * expected, strict=True):
            for own, one in zip(found, alone, strict=True):
                assert all(torch.equal(own[name], logits) for name, logits in one.items())
