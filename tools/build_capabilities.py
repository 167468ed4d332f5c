"""Measure what each method can do, cell by cell, and write docs/capabilities.json; the table is made of it.

    python tools/build_capabilities.py [METHOD ...]

No cell is typed: each is a probe that runs on tiny networks. `no` is what a method refuses, `fails` what went wrong.
What cannot be measured here (a library is not installed) is `untested` and says why. A cell counts for the method's
file as it was; `build_docs.py` shows later ones as untested.
"""

import contextlib
import copy
import hashlib
import json
import platform
import sys
import tempfile
import warnings
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch
import torch.multiprocessing as mp
from torch.nn.parallel import DistributedDataParallel

from sordino import registry
from sordino.adapter_file import save_adapter
from sordino.checks import methods, running
from sordino.checks.methods import MethodCase, disturb
from sordino.contracts import merge
from sordino.model import FRONTEND, WAVEFORM, Model
from sordino.petl import make_method
from sordino.petl._peft_format import to_peft
from sordino.tasks import make_task
from sordino.together import Together

PATH = Path(__file__).resolve().parent.parent / "docs" / "capabilities.json"
PROBES = {  # in the order of the columns
    "merges": "merges",
    "merges_with_others": "merges before and behind others",
    "convolutions": "2-D convolutions",
    "beside_eight_others": "beside 8 others in one batch",
    "bf16": "bf16",
    "gradients_through_backbone": "gradients through the backbone",
    "stored_from": "can be stored",
    "onnx": "ONNX",
    "peft_format": "format of peft",
    "ddp": "two processes (DDP)",
}
HEAD = """
## What each can do

Every cell is a probe on tiny networks (`python tools/build_capabilities.py`, {on}); `untested` is what was not
measured there, or before the method's file was changed. *Before and behind others*: merged at once with a method at the
same sites. *Can be stored*: the highest state that stays the same while all layers are adapted.

"""
TRANSFORMER, CONVOLUTIONS = "mini", "short_cnn"
YES, NO, FAILS, UNTESTED = "yes", "no", "fails", "untested"


def file_hash(name: str) -> str:
    """A hash of a method's file."""
    return hashlib.sha256(registry.file("method", name).read_text(encoding="utf-8").encode()).hexdigest()[:16]


def section() -> str:
    """The section of docs/methods.md."""
    found = json.loads(PATH.read_text(encoding="utf-8"))
    on = ", ".join(f"{key} {value}" for key, value in found["on"].items() if key != "system")
    lines = [f"| method | {' | '.join(PROBES.values())} |", f"|---|{'---|' * len(PROBES)}"]
    for name in registry.own_names("method"):
        entry = found["methods"].get(name, {})
        cells = entry["cells"] if entry.get("file") == file_hash(name) else {}
        values = [cells.get(probe, {}).get("value", "untested") for probe in PROBES]
        lines.append(f"| `{name}` | {' | '.join(values)} |")
    return HEAD.format(on=on) + "\n".join(lines) + "\n"


class Cannot(Exception):
    """The method cannot, and says so."""


def case_of(name, backbone=TRANSFORMER):
    return MethodCase(make_method(name), backbone)


def must_keep(check, case):
    finding = running.run(check, case)
    if finding.outcome == "not asked":
        raise Cannot(finding.why)
    if finding.outcome == "broken":
        raise AssertionError(finding.why)


def model_of(case, name="key", seed=0):
    task = make_task(name)
    task.fit([])
    model = Model(case.backbone, [task], [case.method], {"dropout": 0.0, "hidden": 0}, seed=seed)
    torch.manual_seed(seed)
    disturb(model.trained().values())
    return model


def merges(name):
    must_keep(methods.merges_as_claimed, case_of(name))


def merges_with_others(name):
    """Before and behind a LoRA at the same sites, both merged at once."""
    case = case_of(name)
    if not case.method.mergeable:
        raise Cannot("cannot be merged")
    for order in (("lora", name), (name, "lora")):
        if name == "lora":
            order = ("ssf", "lora")
        backbone = case.backbone.share()
        for each in order:
            attachment = make_method(each).attach(backbone).eval()
            disturb(attachment.parameters())
        with torch.no_grad():
            apart = backbone.encode(case.frames)[-1]
            merge(backbone.attached)
            torch.testing.assert_close(backbone.encode(case.frames)[-1], apart, rtol=1e-4, atol=1e-4)


def convolutions(name):
    """On a network of two-dimensional convolutions."""
    case = case_of(name, CONVOLUTIONS)
    try:
        case.method.n_parameters(case.backbone)
    except (ValueError, TypeError) as error:
        raise Cannot(str(error)) from error
    for check in (methods.names_and_number, methods.padding_changes_nothing, methods.frozen_is_frozen):
        with contextlib.suppress(Cannot):
            must_keep(check, case)


def beside_eight_others(name):
    """As the ninth adapter on one network, it answers as it does alone."""
    case = case_of(name)
    others = ["lora", "adapter", "bitfit", "ssf", "probe", "ia3", "layernorm", "lora"]
    models = [model_of(case_of(other), "beat" if n % 2 else "key", n) for n, other in enumerate(others)]
    models.append(model_of(case, seed=9))
    waveform = 0.1 * torch.randn(2, 12_000, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        found, alone = Together(case.backbone, models, 1000)(waveform)[-1], models[-1].predict(waveform)
    torch.testing.assert_close(found["key"], alone["key"], rtol=1e-5, atol=1e-5)


def bf16(name):
    case = case_of(name)
    if not case.method.trains_backbone:
        must_keep(methods.half_precision_stays_close, case)
    model = model_of(case)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = model(*model.constant_from(case.frames))["key"].float().square().mean()
    loss.backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())


def gradients_through_backbone(name):
    model = model_of(case_of(name))
    if model.start == model.backbone.top:
        raise Cannot("every state that it reads is constant")


def stored_from(name):
    model = model_of(case_of(name))
    if model.start == model.backbone.top:
        return "every state"
    return {WAVEFORM: "nothing", FRONTEND: "the frontend"}.get(model.start, f"state {model.start}")


def onnx(name):
    import onnxruntime  # noqa: F401  (what the export is compared with)

    from sordino.share.onnx import export_onnx

    case = case_of(name)
    with tempfile.TemporaryDirectory() as place:
        spec = {"name": TRANSFORMER, "weights": "random", "n_layers": 2, "dim": 32, "n_heads": 2}
        save_adapter(model_of(case), Path(place) / "x.adapter", spec, case.fingerprint, 1.0)
        export_onnx(Path(place) / "x.adapter", Path(place) / "x.onnx")


def peft_format(name):
    import peft

    case = case_of(name)
    attachment = case.attach(trained=True)
    with tempfile.TemporaryDirectory() as place:
        try:
            to_peft(case.method, attachment, place)
        except TypeError as error:
            raise Cannot(str(error)) from error
        theirs = peft.PeftModel.from_pretrained(copy.deepcopy(case.backbone), place)
    with torch.no_grad():
        found = theirs.base_model.model.encode(case.frames)[-1]
        torch.testing.assert_close(found, case.states(attachment)[-1], rtol=1e-4, atol=1e-5)


def trained_in_two_steps(model, constant, mask):
    """What two steps make of a model, by the rows it is given."""
    optimiser = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.05)
    model.train()
    for _ in range(2):
        optimiser.zero_grad()
        model(constant, mask)["key"].square().mean().backward()
        optimiser.step()


def rank_of_ddp(rank, names, port, place):
    """One of two processes; each has one row of two."""
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    torch.distributed.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=2)
    for name in names:
        try:
            case = case_of(name)
            rows = case.backbone.frontend(torch.randn(2, 12_000, generator=torch.Generator().manual_seed(0)))
            whole, own = model_of(case), model_of(case)
            constant, mask = whole.constant_from(rows)
            trained_in_two_steps(whole, constant, mask)
            wrapped = DistributedDataParallel(own)
            mine = {key: value[rank : rank + 1] for key, value in constant.items()}
            trained_in_two_steps(wrapped, mine, mask)
            expected = whole.trained_state()
            for key, value in own.trained_state().items():
                torch.testing.assert_close(value, expected[key], rtol=1e-4, atol=1e-5)
            told = YES
        except Exception as error:
            told = f"{type(error).__name__}: {str(error).splitlines()[0][:120]}"
        if rank == 0:
            (Path(place) / name).write_text(told, encoding="utf-8")
    torch.distributed.destroy_process_group()


def ddp(names):
    """For all methods at once: to start two processes takes longer than to try them."""
    import socket

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as place:
        with contextlib.suppress(mp.ProcessRaisedException, mp.ProcessExitedException):
            mp.spawn(rank_of_ddp, (names, port, place), nprocs=2)
        return {path.name: path.read_text(encoding="utf-8") for path in Path(place).iterdir()}


def measured(probe, name):
    """A cell: its value, and why where it is not yes."""
    try:
        found = probe(name)
    except Cannot as why:
        return {"value": NO, "why": str(why)[:200]}
    except ImportError as error:
        return {"value": UNTESTED, "why": str(error)[:200]}
    except Exception as error:
        return {"value": FAILS, "why": f"{type(error).__name__}: {str(error).splitlines()[0][:200]}"}
    return {"value": found or YES}


def main():
    torch.set_num_threads(1)
    names = sys.argv[1:] or registry.own_names("method")
    kept = json.loads(PATH.read_text(encoding="utf-8"))["methods"] if PATH.is_file() else {}
    by_name = {probe: globals()[probe] for probe in PROBES if probe != "ddp"}
    for name in names:
        cells = {probe: measured(function, name) for probe, function in by_name.items()}
        kept[name] = {"file": file_hash(name), "cells": cells}
        print(name, {probe: cell["value"] for probe, cell in cells.items()}, file=sys.stderr, flush=True)
    two = ddp(names)
    for name in names:
        told = two.get(name, "its process ended")
        kept[name]["cells"]["ddp"] = {"value": YES} if told == YES else {"value": FAILS, "why": told}
    versions = {}
    for package in ("sordino", "torch", "peft", "onnxruntime"):
        with contextlib.suppress(PackageNotFoundError):
            versions[package] = version(package)
    found = {"on": {"system": platform.machine(), "python": platform.python_version(), **versions},
             "methods": {name: kept[name] for name in registry.own_names("method") if name in kept}}  # fmt: skip
    PATH.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
