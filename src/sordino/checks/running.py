"""Running checks: a promise is kept, broken (with the line where), or has no meaning for this one."""

from __future__ import annotations

import inspect
import linecache
import re
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from sordino.files import one_line

Check = Callable[[Any], None]


class NotAsked(Exception):
    """The promise has no meaning for this one; says why."""


class Finding(NamedTuple):
    """What one check found.

    Attributes:
        promise: what was checked, in a sentence.
        outcome: `kept`, `broken`, or `not asked`.
        why: what was seen, or why it was not asked; empty where it is kept.
    """

    promise: str
    outcome: str
    why: str = ""


def checks(module: ModuleType) -> list[Check]:
    """The checks that a module of this folder holds, in their order."""
    own = [value for name, value in vars(module).items() if inspect.isfunction(value) and not name.startswith("_")]
    own = [value for value in own if value.__module__ == module.__name__]
    return [value for value in own if "case" in inspect.signature(value).parameters]


def promise(check: Check) -> str:
    """What a check is about, in a sentence."""
    return re.sub(r"\s+", " ", inspect.cleandoc(check.__doc__ or check.__name__).partition("\n\n")[0])


def run(check: Check, case: Any) -> Finding:
    """Run one check; whatever it raises is what was found."""
    try:
        check(case)
    except NotAsked as reason:
        return Finding(promise(check), "not asked", str(reason))
    except Exception as error:
        return Finding(promise(check), "broken", _seen(error))
    return Finding(promise(check), "kept")


def _seen(error: BaseException) -> str:
    """The error, and the line of the check at which it came."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if _is_a_check(Path(frame.filename))]
    told = f"{type(error).__name__}: {one_line(error)}" if str(error) else type(error).__name__
    if not frames or frames[-1].lineno is None:
        return told
    line = linecache.getline(frames[-1].filename, frames[-1].lineno).strip()
    return f"{told} ({Path(frames[-1].filename).name}:{frames[-1].lineno}: {line})"


def _is_a_check(file: Path) -> bool:
    return file.parent == Path(__file__).parent and file.name != Path(__file__).name


@contextmanager
def refused(kind: type[Exception], words: str) -> Iterator[None]:
    """Whatever is within must raise an error of this kind whose message matches."""
    try:
        yield
    except kind as error:
        assert re.search(words, str(error)), f'"{error}" does not say "{words}"'
    else:
        raise AssertionError(f"no {kind.__name__} was raised")
