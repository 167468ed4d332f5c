"""What every backbone promises, over all files in backbones/: a new file is tested with nothing added."""

import inspect
import re

import pytest
import torch
from torch import nn

from sordino import registry
from sordino.backbones import load_backbone
from sordino.contracts import Backbone
from sordino.sites import Join, Tap

NAMES = registry.names("backbone")
EVERY = pytest.mark.parametrize("name", NAMES)


@pytest.fixture(scope="module")
def tiny():
    built = {}

    def get(name):
        return built.setdefault(name, registry.find("backbone", name).tiny())

    return get


def clips(backbone, lengths_s, seed=0):
    """Noise with a pulse twice a second, padded to the longest, and the true lengths in samples."""
    generator = torch.Generator().manual_seed(seed)
    n_samples = torch.tensor([round(length * backbone.sample_rate_hz) for length in lengths_s])
    time = torch.arange(int(n_samples.max())) / backbone.sample_rate_hz
    waveform = 0.1 * torch.randn(len(lengths_s), len(time), generator=generator) * (1 + 4 * (time % 0.5 < 0.05))
    return waveform * (torch.arange(len(time)) < n_samples[:, None]), n_samples


@EVERY
def test_it_says_what_it_is(name):
    cls = registry.find("backbone", name)
    assert issubclass(cls, Backbone) and cls.name == name
    assert cls.title and cls.licence and cls.where()
    assert cls.paper.startswith("https://")
    assert re.search(r"\nPaper: ", inspect.getmodule(cls).__doc__)


@EVERY
def test_it_is_frozen_when_loaded_and_the_same_every_time(name, tiny):
    backbone = tiny(name)
    assert not backbone.training
    assert not any(p.requires_grad for p in backbone.parameters())
    again, other = type(backbone).tiny(), type(backbone).tiny(seed=1)
    assert backbone.fingerprint() == again.fingerprint() != other.fingerprint()
    waveform, _ = clips(backbone, [1.0])
    for first, second in zip(backbone(waveform), again(waveform), strict=True):
        assert torch.equal(first, second)


@EVERY
@pytest.mark.parametrize("seconds", [0.001, 0.3, 1.0, 1.2345])
def test_hidden_states_have_the_promised_number_and_shape(name, tiny, seconds):
    backbone = tiny(name)
    waveform, _ = clips(backbone, [seconds, seconds])
    states = backbone(waveform)
    assert len(states) == backbone.n_layers + 1
    shape = (2, backbone.n_frames(waveform.shape[1]), backbone.dim)
    assert all(state.shape == shape and state.isfinite().all() for state in states)


@EVERY
def test_frames_come_at_the_promised_rate(name, tiny):
    backbone = tiny(name)
    n_frames = backbone.n_frames(100 * backbone.sample_rate_hz)
    assert n_frames == pytest.approx(100 * backbone.frame_rate_hz, abs=4)


@EVERY
def test_padding_changes_nothing(name, tiny):
    backbone = tiny(name)
    waveform, n_samples = clips(backbone, [1.5, 0.9, 0.613])
    frames = backbone.frontend(waveform, n_samples)
    states = backbone(waveform, n_samples)
    for row, n in enumerate(n_samples.tolist()):
        n_frames = backbone.n_frames(n)
        assert frames.mask[row].sum() == n_frames and frames.mask[row, :n_frames].all()
        for padded, alone in zip(states, backbone(waveform[row : row + 1, :n]), strict=True):
            torch.testing.assert_close(padded[row, :n_frames], alone[0], rtol=1e-4, atol=1e-5)


@EVERY
def test_the_other_clips_of_a_batch_change_nothing(name, tiny):
    backbone = tiny(name)
    waveform, _ = clips(backbone, [1.0, 1.0, 1.0])
    for batched, alone in zip(backbone(waveform), backbone(waveform[1:2]), strict=True):
        torch.testing.assert_close(batched[1:2], alone, rtol=1e-4, atol=1e-5)


@EVERY
def test_half_precision_stays_close(name, tiny):
    backbone = tiny(name)
    waveform, _ = clips(backbone, [1.0])
    full = backbone(waveform)[-1]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        half = backbone(waveform)[-1].float()
    assert half.isfinite().all()
    assert (half - full).abs().mean() < 0.05 * full.abs().mean()


@EVERY
def test_encoding_goes_on_from_any_hidden_state(name, tiny):
    backbone = tiny(name)
    frames = backbone.frontend(*clips(backbone, [1.0, 0.7]))
    states = backbone.encode(frames)
    for layer in range(backbone.n_layers):
        rest = backbone.encode(frames, known={layer: states[layer]})
        torch.testing.assert_close(rest[layer + 1 :], states[layer + 1 :])
        stopped = backbone.encode(frames, stop=layer)
        torch.testing.assert_close(stopped, states[: layer + 1])


@EVERY
def test_sites_exist_once_with_their_roles_and_widths(name, tiny):
    backbone = tiny(name)
    sites = backbone.sites()
    paths = [site.path for site in sites]
    assert len(set(paths)) == len(paths)
    assert [site.layer for site in sites] == sorted(site.layer for site in sites)
    for site in sites:
        module = backbone.get_submodule(site.path)
        if isinstance(module, torch.nn.Linear):
            assert (site.dim_in, site.dim_out) == (module.in_features, module.out_features)
        elif isinstance(module, torch.nn.Conv1d):
            assert (site.dim_in, site.dim_out) == (module.in_channels, module.out_channels)
        elif isinstance(module, torch.nn.LayerNorm):
            assert (site.dim_in,) == (site.dim_out,) == module.normalized_shape
        else:
            assert isinstance(module, Tap | Join)


def test_a_role_means_the_same_everywhere(tiny):
    """The same kind of module stands behind it on every backbone, and some method is written against it."""
    known = ((nn.Linear, nn.Conv1d, nn.Conv2d), nn.LayerNorm, Tap, Join)
    kinds, wanted = {}, {}
    for name in NAMES:
        for site in tiny(name).sites():
            module = tiny(name).get_submodule(site.path)
            kind = next(kind for kind in known if isinstance(module, kind))
            kinds.setdefault(site.role, set()).add(kind)
    for name in registry.names("method"):
        for role in getattr(registry.find("method", name), "roles", ()):
            wanted.setdefault(role, set()).add(name)
    assert {role: len(found) for role, found in kinds.items()} == dict.fromkeys(kinds, 1)
    assert set(kinds) <= set(wanted)


@EVERY
def test_every_site_is_passed_in_order_and_says_when_it_is(name, tiny):
    backbone = tiny(name)
    passed = []
    handles = [
        backbone.get_submodule(site.path).register_forward_hook(
            lambda module, inputs, output, path=site.path: passed.append(path)
        )
        for site in backbone.sites()
    ]
    backbone(clips(backbone, [0.5])[0])
    for handle in handles:
        handle.remove()
    layer_of = {site.path: site.layer for site in backbone.sites()}
    assert sorted(passed) == sorted(layer_of)
    assert [layer_of[path] for path in passed] == sorted(layer_of.values())


@EVERY
def test_prompts_enter_before_positions_and_never_come_out(name, tiny):
    backbone = tiny(name)
    frames = backbone.frontend(*clips(backbone, [1.0, 0.6]))
    before = backbone.encode(frames)
    generator = torch.Generator().manual_seed(1)
    prompt = torch.randn(2, 3, backbone.dim, generator=generator)

    def prepend(module, inputs):
        x, mask, n_prompt = inputs
        return torch.cat([prompt, x], 1), torch.cat([mask.new_ones(2, 3), mask], 1), n_prompt + 3

    handle = backbone.tokens.register_forward_pre_hook(prepend)
    after = backbone.encode(frames)
    handle.remove()
    assert [state.shape for state in after] == [state.shape for state in before]
    assert not torch.allclose(after[-1], before[-1])
    torch.testing.assert_close(backbone.encode(frames), before)


@EVERY
def test_nothing_of_the_frontend_gets_a_gradient(name, tiny):
    backbone = type(tiny(name)).tiny().requires_grad_(True)
    frames = backbone.frontend(clips(backbone, [0.5])[0])
    assert not frames.x.requires_grad
    backbone.encode(frames)[-1].square().sum().backward()
    assert any(p.grad is not None for p in backbone.parameters())


@EVERY
def test_a_wrong_option_is_an_error(name):
    with pytest.raises(ValueError, match=f'unknown setting "{name}.depht"; did you mean "{name}.depth"'):
        load_backbone(name, weights="random", depht=2)
