"""What a backbone keeps, on its tiny form; see `contracts/backbone.py` and docs/add_a_backbone.md."""

from __future__ import annotations

import inspect
import re
from typing import Any

import torch
from torch import Tensor, nn

from sordino import registry
from sordino.checks.running import refused
from sordino.contracts import Backbone
from sordino.sites import Join, Norm, Tap

MAPS = (nn.Linear, nn.Conv1d, nn.Conv2d)
NORMS = (nn.LayerNorm, nn.BatchNorm1d, nn.BatchNorm2d, Norm)
BEHIND = {  # the kinds of module behind each role
    **dict.fromkeys(("attn.q", "attn.k", "attn.v", "attn.out", "ffn.in", "ffn.out", "conv.in", "conv.out"), MAPS),
    **dict.fromkeys(("tokens", "layer.tokens", "attn.kv", "states"), (Tap,)),
    **dict.fromkeys(("after.attn", "after.ffn", "after.conv"), (Join,)),
    "norm": NORMS,
}


class BackboneCase:
    """A backbone's class, and its tiny form.

    Args:
        name: its name.
    """

    def __init__(self, name: str):
        self.name, self.cls = name, registry.find("backbone", name)
        self.tiny: Backbone = self.cls.tiny()


def clips(backbone: Backbone, lengths_s: list[float]) -> tuple[Tensor, Tensor]:
    """Noise with a pulse twice a second, padded to the longest, and the true lengths in samples."""
    generator = torch.Generator().manual_seed(0)
    n_samples = torch.tensor([round(length * backbone.sample_rate_hz) for length in lengths_s])
    time = torch.arange(int(n_samples.max())) / backbone.sample_rate_hz
    waveform = 0.1 * torch.randn(len(lengths_s), len(time), generator=generator) * (1 + 4 * (time % 0.5 < 0.05))
    return waveform * (torch.arange(len(time)) < n_samples[:, None]), n_samples


def says_what_it_is(case: BackboneCase) -> None:
    """It has a title, a licence, a paper, and says where its weights are."""
    cls = case.cls
    assert issubclass(cls, Backbone) and cls.name == case.name
    assert cls.title and cls.licence and cls.where()
    assert cls.paper.startswith("https://")
    module = inspect.getmodule(cls)
    assert re.search(r"\nPaper: ", (module and module.__doc__) or "")


def frozen_and_the_same_every_time(case: BackboneCase) -> None:
    """Loaded it is frozen, and the same seed gives the same states to the bit."""
    backbone = case.tiny
    assert not backbone.training
    assert not any(p.requires_grad for p in backbone.parameters())
    again, other = case.cls.tiny(), case.cls.tiny(seed=1)
    assert backbone.fingerprint() == again.fingerprint() != other.fingerprint()
    waveform, _ = clips(backbone, [1.0])
    for first, second in zip(backbone(waveform), again(waveform), strict=True):
        assert torch.equal(first, second)


def states_have_the_promised_shape(case: BackboneCase) -> None:
    """Clips of a sample and more give n_layers + 1 states of n_frames and dim."""
    backbone = case.tiny
    for seconds in (0.001, 0.3, 1.0, 1.2345):
        waveform, _ = clips(backbone, [seconds, seconds])
        states = backbone(waveform)
        assert len(states) == backbone.n_layers + 1
        shape = (2, backbone.n_frames(waveform.shape[1]), backbone.dim)
        assert all(state.shape == shape and state.isfinite().all() for state in states), f"{seconds} s: not {shape}"


def frames_come_at_the_promised_rate(case: BackboneCase) -> None:
    """A hundred seconds give as many frames as the frame rate says."""
    n_frames = case.tiny.n_frames(100 * case.tiny.sample_rate_hz)
    assert abs(n_frames - 100 * case.tiny.frame_rate_hz) <= 4


def padding_changes_nothing(case: BackboneCase) -> None:
    """A clip in a padded batch gives what it gives alone."""
    backbone = case.tiny
    waveform, n_samples = clips(backbone, [1.5, 0.9, 0.613])
    mask, states = backbone.frontend(waveform, n_samples).mask, backbone(waveform, n_samples)
    assert mask is not None
    for row, n in enumerate(n_samples.tolist()):
        n_frames = backbone.n_frames(n)
        assert mask[row].sum() == n_frames and mask[row, :n_frames].all()
        for padded, alone in zip(states, backbone(waveform[row : row + 1, :n]), strict=True):
            torch.testing.assert_close(padded[row, :n_frames], alone[0], rtol=1e-4, atol=1e-5)


def other_clips_change_nothing(case: BackboneCase) -> None:
    """A clip gives the same whatever else is in its batch."""
    waveform, _ = clips(case.tiny, [1.0, 1.0, 1.0])
    for batched, alone in zip(case.tiny(waveform), case.tiny(waveform[1:2]), strict=True):
        torch.testing.assert_close(batched[1:2], alone, rtol=1e-4, atol=1e-5)


def half_precision_stays_close(case: BackboneCase) -> None:
    """In bfloat16 the states are within 5 % of those in float32."""
    waveform, _ = clips(case.tiny, [1.0])
    full = case.tiny(waveform)[-1]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        half = case.tiny(waveform)[-1].float()
    assert half.isfinite().all()
    assert (half - full).abs().mean() < 0.05 * full.abs().mean()


def goes_on_from_any_state(case: BackboneCase) -> None:
    """From any hidden state the encoder goes on to the same states, and it stops where it is told."""
    backbone = case.tiny
    frames = backbone.frontend(*clips(backbone, [1.0, 0.7]))
    states = backbone.encode(frames, stop=backbone.n_layers)
    for layer in range(backbone.n_layers):
        rest = backbone.encode(frames, known={layer: states[layer]})
        torch.testing.assert_close(rest[layer + 1 :], backbone.told(states, frames.mask)[layer + 1 :])
        stopped = backbone.encode(frames, stop=layer)
        torch.testing.assert_close(stopped, states[: layer + 1])


def sites_have_their_roles_and_widths(case: BackboneCase) -> None:
    """Every site is there once, in order, with its widths, and behind its role stands what stands there everywhere."""
    backbone, sites = case.tiny, case.tiny.sites()
    paths = [site.path for site in sites]
    assert len(set(paths)) == len(paths)
    assert [site.layer for site in sites] == sorted(site.layer for site in sites)
    for site in sites:
        module = backbone.get_submodule(site.path)
        assert site.role in BEHIND, f"{site.path}: no method knows the role {site.role}"
        assert isinstance(module, BEHIND[site.role]), f"{site.path}: a {type(module).__name__} is no {site.role}"
        if isinstance(module, nn.Linear):
            assert (site.dim_in, site.dim_out) == (module.in_features, module.out_features), site.path
        elif isinstance(module, nn.Conv1d | nn.Conv2d):
            assert (site.dim_in, site.dim_out) == (module.in_channels, module.out_channels), site.path
        elif isinstance(module, NORMS):
            assert (site.dim_in,) == (site.dim_out,) == module.weight.shape, site.path


def every_site_is_passed_in_order(case: BackboneCase) -> None:
    """Each site is passed once in a pass, in the order of its layers."""
    backbone = case.tiny
    passed: list[str] = []
    handles = [
        backbone.get_submodule(site.path).register_forward_hook(lambda *_, path=site.path: passed.append(path))
        for site in backbone.sites()
    ]
    backbone(clips(backbone, [0.5])[0])
    for handle in handles:
        handle.remove()
    layer_of = {site.path: site.layer for site in backbone.sites()}
    assert sorted(passed) == sorted(layer_of)
    assert [layer_of[path] for path in passed] == sorted(layer_of.values())


def prompts_enter_before_positions(case: BackboneCase) -> None:
    """Prompt tokens change the states and never come out, where there is a place for them."""
    backbone = case.tiny
    if "tokens" not in {site.role for site in backbone.sites()}:
        return
    frames = backbone.frontend(*clips(backbone, [1.0, 0.6]))
    before = backbone.encode(frames)
    prompt = torch.randn(2, 3, backbone.dim, generator=torch.Generator().manual_seed(1))

    def prepend(module: nn.Module, inputs: Any) -> Any:
        x, mask, n_prompt = inputs
        return torch.cat([prompt, x], 1), torch.cat([mask.new_ones(2, 3), mask], 1), n_prompt + 3

    handle = backbone.tokens.register_forward_pre_hook(prepend)
    after = backbone.encode(frames)
    handle.remove()
    assert [state.shape for state in after] == [state.shape for state in before]
    assert not torch.allclose(after[-1], before[-1])
    torch.testing.assert_close(backbone.encode(frames), before)


def no_gradient_for_the_frontend(case: BackboneCase) -> None:
    """The frontend gets no gradient, the layers do where they are trained."""
    backbone = case.cls.tiny().requires_grad_(True)
    frames = backbone.frontend(clips(backbone, [0.5])[0])
    assert not frames.x.requires_grad
    backbone.encode(frames)[-1].square().sum().backward()
    assert any(p.grad is not None for p in backbone.parameters())


def refuses_a_wrong_option(case: BackboneCase) -> None:
    """An option that it has not is refused, and the nearest offered."""
    with refused(ValueError, f'unknown setting "{case.name}.depht"; did you mean "{case.name}.depth"'):
        registry.make("backbone", case.name, {"weights": "random", "depht": 2})
