"""AdaLoRA: scores, masks and weights as in peft after the same steps; its budget; its place in a training."""

import copy
import json
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from sordino.backbones.mini import Mini
from sordino.config import load_config
from sordino.petl import make_method
from sordino.petl.adalora import Triplets
from sordino.training.run import train
from tests.conftest import TINY

ROLES = ("attn.q", "attn.k", "ffn.in", "ffn.out")
STEPS = 12


@pytest.fixture(scope="module")
def mini():
    return Mini.tiny().freeze()


@pytest.mark.parametrize("prune_every", [1, 4])
def test_scores_masks_and_weights_are_those_of_peft(prune_every, mini):
    peft = pytest.importorskip("peft")
    method = make_method("adalora", roles=ROLES, r=2, r_initial=4, warmup=0.25, final=0.25, prune_every=prune_every)
    attachment = method.attach(mini.share())
    config = peft.AdaLoraConfig(
        target_modules=[site.path for site in attachment.sites.values()], lora_alpha=4, init_r=4, target_r=2,
        tinit=3, tfinal=3, deltaT=prune_every, total_step=STEPS, orth_reg_weight=0.1,
    )  # fmt: skip
    theirs = peft.get_peft_model(copy.deepcopy(mini), config).base_model
    placed = [(part, theirs.model.get_submodule(site.path)) for site, part in attachment.placed()]
    with torch.no_grad():
        for part, layer in placed:
            layer.scaling["default"] = 4 + 1e-5  # what peft divides by
            layer.lora_A["default"].copy_(part.Q)
            layer.lora_B["default"].copy_(part.P)
    frames = mini.frontend(0.1 * torch.randn(2, 12_000, generator=torch.Generator().manual_seed(0)))
    theirs.model.forward = lambda: SimpleNamespace(loss=theirs.model.encode(frames)[-1][..., ::2].square().mean())
    ours = torch.optim.SGD(attachment.parameters(), lr=0.3, momentum=0.9)
    other = torch.optim.SGD([p for p in theirs.model.parameters() if p.requires_grad], lr=0.3, momentum=0.9)
    n_left = []
    for step in range(1, STEPS + 1):
        loss = attachment.backbone.encode(frames)[-1][..., ::2].square().mean() + method.penalty(attachment)
        loss_of_theirs = theirs.forward().loss
        torch.testing.assert_close(loss, loss_of_theirs, rtol=1e-5, atol=1e-6)
        for optimiser, value in ((ours, loss), (other, loss_of_theirs)):
            optimiser.zero_grad()
            value.backward()
            optimiser.step()
        method.after_step(attachment, step, STEPS)
        theirs.update_and_allocate(step)
        allocator, n_compared = theirs.rankallocator, 0
        for site, part in attachment.placed():
            layer = theirs.model.get_submodule(site.path)
            for name, theirs_name in (("P", "lora_B"), ("lambdas", "lora_E"), ("Q", "lora_A")):
                full = f"{site.path}.{theirs_name}.default"
                for kind, known in (("sensitivity", allocator.exp_avg_ipt), ("uncertainty", allocator.exp_avg_unc)):
                    if full in known:  # peft forgets them after the last pruning
                        own = part.get_buffer(f"{name}_{kind}")
                        torch.testing.assert_close(own, known[full].reshape(own.shape), rtol=1e-3, atol=1e-9)
                        n_compared += 1
            assert torch.equal(part.lambdas == 0, layer.lora_E["default"].flatten() == 0), (step, site.path)
            torch.testing.assert_close(part.lambdas, layer.lora_E["default"].flatten(), rtol=1e-3, atol=1e-6)
        assert n_compared == (6 * len(placed) if step < 9 else 0)
        n_left.append(sum(int(part.lambdas.count_nonzero()) for part, _ in placed))
    n = len(placed)
    assert n_left[:3] == [4 * n] * 3 and n_left[8:] == [2 * n] * 4
    assert len({int(part.lambdas.count_nonzero()) for part, _ in placed}) > 1  # sites are not alike
    torch.testing.assert_close(attachment.backbone.encode(frames)[-1], theirs.model.encode(frames)[-1])


def test_the_budget_falls_with_the_cube():
    method = make_method("adalora", r=2, r_initial=10)
    assert [method.budget(5, step, 100, 200) for step in (100, 150, 200, 300)] == [50, 10 + 5, 10, 10]


def test_groups_have_triplets_of_their_own():
    """Orthogonal vectors cost nothing; the values with the largest gradients are kept, whichever group they are in."""
    module = nn.Conv1d(8, 4, 3, groups=2, bias=False)
    part = Triplets(module, 2)
    assert (tuple(part.P.shape), tuple(part.lambdas.shape), tuple(part.Q.shape)) == ((4, 2), (4,), (4, 4, 3))
    with torch.no_grad():
        part.P.copy_(torch.eye(2).repeat(2, 1))
        part.Q.copy_(torch.eye(4, 12).reshape(4, 4, 3))
        part.lambdas.copy_(torch.tensor([1.0, 2.0, 3.0, 4.0]))
        torch.testing.assert_close(part.distances(), torch.zeros(4))
        part.Q[0] *= 2  # a length of 4 where it should be 1
        torch.testing.assert_close(part.distances(), torch.tensor([0.0, 0.0, 3.0, 0.0]))
    part.P.grad, part.lambdas.grad, part.Q.grad = (torch.zeros_like(value) for value in (part.P, part.lambdas, part.Q))
    part.lambdas.grad[1], part.P.grad[2, 0], part.Q.grad[3, 0, 0] = 3.0, 1.0, 5.0  # Q is 0 there
    part.weigh(0.75, 0.75)
    # I = 0.25 |w g|, U = 0.25 (|w g| - I), their product 0.046875 |w g|^2; P's is a mean over two rows
    torch.testing.assert_close(part.scores(), torch.tensor([0.0, 0.046875 * 36, 0.046875 / 2, 0.0]), rtol=1e-5, atol=0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"r": 4}, r"adalora\.r = 4 is more than r_initial = 3, and ranks only fall"),
        ({"warmup": 0.6}, r"warmup = 0\.6 and final = 0\.5 are more than all steps"),
    ],
)
def test_wrong_budgets(options, message):
    with pytest.raises(ValueError, match=message):
        make_method("adalora", **options)


def run(triads, folder, **training):
    method = {"name": "adalora", "r": 1, "r_initial": 2, "roles": ["attn.q", "ffn.in"], "orthogonal": 5.0}
    settings = {"steps": 6, "batch_size": 4, "lr": 1e-2, "validate_every": 6, "precision": "float32", "clip": 0}
    return train(load_config(None, (), data=str(triads), task="key", backbone=TINY, method=method,
                             head={"dropout": 0.0}, training={**settings, **training}), folder)  # fmt: skip


def test_training_prunes_to_the_budget_and_counts_the_penalty_once(triads, tmp_path):
    whole, parted = run(triads, tmp_path), run(triads, tmp_path, accumulate=4)
    kept = [value for name, value in load_file(whole.adapter / "adapter.safetensors").items() if "lambdas" in name]
    assert sum(int(value.count_nonzero()) for value in kept) == len(kept) > 0
    losses = [json.loads((one.folder / "log.jsonl").read_text())["loss"] for one in (whole, parted)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-3) and losses[0] > 5
