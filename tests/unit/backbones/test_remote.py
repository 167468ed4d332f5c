"""Encoders with code of their own: opened layer by layer, equal to themselves, and never run unasked."""

from types import SimpleNamespace

import pytest
import remote_code
import torch
from click.testing import CliRunner
from test_huggingface import (
    KEPT,
    answers_together,
    assert_changed_and_padded_alike,
    largest_difference,
    published,
    write,
)

from sordino import outside
from sordino.adapter_file import load_adapter, save_adapter
from sordino.adapter_reading import check_backbone
from sordino.backbones import load_backbone
from sordino.backbones._opened import ROLES
from sordino.checks import backbones
from sordino.cli import group
from sordino.model import Model
from sordino.petl import make_method
from sordino.tasks import make_task


@pytest.fixture(scope="module", autouse=True)
def modules(tmp_path_factory):
    """Code of repositories is copied into a cache of the tests' own."""
    import transformers.dynamic_module_utils as dynamic

    folder = tmp_path_factory.mktemp("modules")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dynamic, "HF_MODULES_CACHE", str(folder))
        patch.syspath_prepend(str(folder))
        yield


@pytest.fixture
def stranger(tmp_path):
    folder = tmp_path / "stranger"
    return folder, remote_code.write(folder)


def opened(folder, **options):
    return load_backbone("huggingface", weights=folder, remote_code=True, **options)


@torch.no_grad()
def test_every_hidden_state_is_that_of_the_model_run_directly(stranger, music):
    folder, model = stranger
    ours = opened(folder)
    for n_samples in (8_000, 20_123):
        theirs = model(music(n_samples), output_hidden_states=True).hidden_states
        assert largest_difference(ours(music(n_samples)), theirs) < 1e-5
        assert ours.n_frames(n_samples) == theirs[0].shape[1]
    assert (ours.sample_rate_hz, ours.hop_samples, ours.n_layers, ours.dim) == (8_000, 125, 3, 16)
    shallow = opened(folder, depth=2)
    assert largest_difference(shallow(music(8_000))[:2], ours(music(8_000))[:2]) < 1e-6 and shallow.n_layers == 2


@torch.no_grad()
@pytest.mark.parametrize("kind", ["hubert", "wav2vec2 large", "data2vec-audio"])
def test_a_known_family_opened_is_what_our_own_code_gives(kind, tmp_path, music):
    write(published(kind), tmp_path)
    there, here = opened(tmp_path), load_backbone("huggingface", weights=tmp_path)
    assert largest_difference(there(music(20_123)), here(music(20_123))) < 1e-4
    assert (there.hop_samples, there.sample_rate_hz) == (here.hop_samples, here.sample_rate_hz)
    roles = [[site.role for site in each.sites() if site.role in ROLES] for each in (there, here)]
    assert roles[0] == roles[1]


@pytest.mark.parametrize(("kind", "argument"), [("wavlm", "position_bias"), ("wav2vec2-conformer", "relative_pos")])
def test_layers_that_want_positions_are_refused(kind, argument, tmp_path):
    write(published(kind), tmp_path)
    with pytest.raises(ValueError, match=rf"want more than the states \(argument {argument}"):
        opened(tmp_path)


def test_sites_are_found_by_the_names_of_modules(stranger):
    sites = [site for site in opened(stranger[0]).sites() if site.layer == 2]
    told = {site.path.removeprefix("layers.1."): site.role for site in sites}
    assert told == {
        "tokens": "layer.tokens",
        "inner.norm1": "norm",
        "inner.attn.to_q": "attn.q",
        "inner.attn.to_k": "attn.k",
        "inner.attn.to_v": "attn.v",
        "inner.attn.to_out": "attn.out",
        "inner.norm2": "norm",
        "inner.fc1": "ffn.in",
        "inner.fc2": "ffn.out",
    }


@pytest.fixture(scope="module")
def case(tmp_path_factory, modules):
    """Its tiny form, as the backbones' contract wants it."""

    def tiny(seed=0):
        folder = tmp_path_factory.mktemp("tiny") / f"stranger_{seed}"
        remote_code.write(folder, seed=seed)
        return opened(folder)

    class Case(backbones.BackboneCase):
        def __init__(self):
            self.name, self.cls, self.tiny = "huggingface", SimpleNamespace(tiny=tiny), tiny()

    return Case()


@pytest.mark.parametrize("check", KEPT, ids=lambda check: check.__name__)
def test_it_keeps_what_backbones_promise(check, case):
    check(case)


@pytest.mark.parametrize("method", ["lora", "prompt", "bitfit", "ssf", "layernorm", "mix"])
def test_methods_change_it_and_padding_still_changes_nothing(method, case, music):
    assert_changed_and_padded_alike(case.tiny.share(), method, music, 8_000)


def test_models_answer_beside_others_as_alone(case, music):
    for beside, alone, apart in answers_together(case.tiny, music):
        torch.testing.assert_close(beside, alone, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(alone, apart, rtol=1e-4, atol=1e-5)


def test_a_method_that_finds_no_site_says_so(case):
    with pytest.raises(ValueError, match=r"after\.attn"):
        make_method("adapter").attach(case.tiny.share())


def test_nothing_is_run_unless_the_user_says_so(tmp_path):
    folder = tmp_path / "stranger"
    remote_code.write(folder)
    (folder / "modelling.py").write_text("raise SystemExit('it was run')")
    with pytest.raises(ValueError, match=r'model_type = "stranger" is none of .*remote_code = true'):
        load_backbone("huggingface", weights=folder)


def test_its_code_is_part_of_the_fingerprint(stranger):
    folder, _ = stranger
    one = opened(folder).fingerprint()
    (folder / "modelling.py").write_text(remote_code.CODE + "\n# another version\n")
    assert opened(folder).fingerprint() != one


@pytest.mark.parametrize(
    ("was", "now", "told"),
    [
        ("hidden = [x], x.new_zeros(", "hidden = [x], x.new_ones(", r"want more than the states \(argument hidden\)"),
        ("x, _ = block(x, hidden=hidden, scale=0.5)", "x, _ = block(2 * x)", "gives another hidden state 2 than"),
        ("x = x.transpose(1, 2)", "x = torch.cat([x, x], 2).transpose(1, 2)", "do not come at an even rate"),
        ("for block in self.blocks:", "for block in self.blocks[::-1]:", "do not run one behind the other"),
        ("for block in self.blocks:", "for block in self.blocks[:2]:", "do not all run"),
        ("        return BaseModel", "        return 1 / 0\n        return BaseModel", "division by zero"),
    ],
)
def test_what_cannot_be_opened_is_refused(was, now, told, tmp_path):
    assert was in remote_code.CODE
    remote_code.write(tmp_path / "stranger", remote_code.CODE.replace(was, now))
    with pytest.raises(ValueError, match=told):
        opened(tmp_path / "stranger")


def test_a_rate_must_be_told(tmp_path):
    remote_code.write(tmp_path / "stranger", sampling_rate=None)
    with pytest.raises(ValueError, match="at which rate it hears"):
        opened(tmp_path / "stranger")


def test_an_adapter_runs_code_only_of_what_the_user_names(stranger, tmp_path, monkeypatch):
    folder, _ = stranger
    monkeypatch.setenv(outside.REMOTE, "")
    backbone = opened(folder)
    task = make_task("key")
    task.fit([])
    model = Model(backbone, [task], [make_method("lora")])
    spec = {"name": "huggingface", "weights": str(folder), "remote_code": True}
    adapter = save_adapter(model, tmp_path / "key.adapter", spec, backbone.fingerprint(), 5.0)
    assert load_adapter(adapter, backbone).tasks  # the user has loaded it
    (folder / "modelling.py").write_text("raise SystemExit('it was run')")
    with pytest.raises(ValueError, match="If you trust it: say --remote-code") as told:
        load_adapter(adapter)
    assert len(str(told.value)) <= 300
    stranger_still = {**spec, "model": "some/stranger", "weights": "random:1"}
    with pytest.raises(ValueError, match='say --remote-code "some/stranger"'):
        check_backbone(stranger_still, "key.adapter")
    asked = CliRunner().invoke(group, ["show", str(adapter), "--remote-code", "some/other"])
    assert not asked.exit_code and outside.trusted("some/other") and not outside.trusted(str(folder))
    (folder / "modelling.py").write_text(remote_code.CODE)
    outside.trust([str(folder)])
    assert load_adapter(adapter).backbone.fingerprint() == backbone.fingerprint()
