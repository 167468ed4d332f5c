"""Every check of one backbone, method, task or dataset, a line for each promise.

A method is checked on the tiny form of every backbone that has its roles, a backbone by itself and then with every
method that finds its roles there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from sordino import registry
from sordino.checks import backbones, datasets, methods, tasks
from sordino.checks.method_case import MethodCase
from sordino.checks.running import Check, Finding, checks, promise, run

Advance = Callable[[str, int, int], object]  # what, how many checks are done, of how many


class Asked(NamedTuple):
    """One check to be run.

    Attributes:
        check: it.
        where: on what, a backbone's or a method's name or a dataset with its version; empty: by itself.
        run: runs it.
    """

    check: Check
    where: str
    run: Callable[[], Finding]


class Line(NamedTuple):
    """What is told of one promise.

    Attributes:
        promise: in a sentence.
        outcome: `kept`, `broken`, or `not asked` (of none).
        told: where and why.
    """

    promise: str
    outcome: str
    told: str


def verdict(kind: str, name: str, advance: Advance = lambda what, done, total: None) -> list[Line]:
    """Check one thing.

    Args:
        kind: `backbone`, `method`, `task` or `dataset`.
        name: its name; `outside.use` has brought it where it is no part of sordino.
        advance: progress.

    Raises:
        ValueError: it cannot be made with the defaults of its options, or a method finds its roles on no backbone.
    """
    asked = {"backbone": _backbone, "method": _method, "task": _task, "dataset": _dataset}[kind](name)
    found = []
    for done, one in enumerate(asked, 1):
        found.append((one.check, one.where, one.run()))
        advance(name, done, len(asked))
    return [_line(check, [(where, finding) for other, where, finding in found if other is check])
            for check in dict.fromkeys(one.check for one in asked)]  # fmt: skip


def _line(check: Check, found: Sequence[tuple[str, Finding]]) -> Line:
    outcome = next(
        each for each in ("broken", "kept", "not asked") if each in {finding.outcome for _, finding in found}
    )
    told = [(where, finding.why) for where, finding in found if finding.outcome == outcome]
    if outcome == "kept":
        return Line(promise(check), outcome, ", ".join(where for where, _ in told if where))
    if outcome == "not asked":
        return Line(promise(check), outcome, told[0][1])
    words = [f"{where}: {why}" if where else why for where, why in told]
    return Line(
        promise(check), outcome, "; ".join([*words[:2], *([f"and {len(words) - 2} more"] if words[2:] else [])])
    )


def _all(case: Any, own: Sequence[Check], where: str = "") -> list[Asked]:
    return [Asked(check, where, partial(run, check, case)) for check in own]


def _method(name: str) -> list[Asked]:
    method, asked, why = registry.make("method", name, {}), [], ""
    for backbone in registry.names("backbone"):
        case = MethodCase(method, backbone)
        if not (without := no_place(case)):
            asked += _all(case, checks(methods), backbone)
        why = without or why
    if not asked:
        raise ValueError(f"{name} has a place on no backbone: {why}")
    return asked


def no_place(case: MethodCase) -> str:
    """Why a method has no place on a backbone (no roles, or an extra that is not installed); empty where it has one."""
    try:
        case.method.n_parameters(case.backbone)
    except (ImportError, ValueError) as error:
        if isinstance(error, ImportError) or "matches nothing on" in str(error):
            return str(error)
        raise
    return ""


def _backbone(name: str) -> list[Asked]:
    asked = _all(backbones.BackboneCase(name), checks(backbones))
    for method in registry.names("method"):
        case = MethodCase(registry.make("method", method, {}), name)
        asked += [] if no_place(case) else _all(case, checks(methods), method)
    return asked


def _task(name: str) -> list[Asked]:
    return _all(tasks.TaskCase(name), checks(tasks))


def _dataset(name: str) -> list[Asked]:
    versions = registry.find("dataset", name).versions
    named = [name, *(f"{name}:{version}" for version in versions)]
    return [Asked(check, each, partial(_in_a_folder, check, each)) for check in checks(datasets) for each in named]


def _in_a_folder(check: Check, name: str) -> Finding:
    with TemporaryDirectory() as place:  # each with a miniature of its own: some cut its files
        return run(check, datasets.DatasetCase(name, Path(place)))
