"""Adapters that stay in memory on shared backbones, and come and go while others answer.

Conventions: an answer is called as its adapter (`key`), or `adapter/task` where the adapter answers several tasks.
Plain estimators are residents too. Who asks keeps the adapters that were there when it began.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

from sordino import audio
from sordino.contracts import Task
from sordino.inference import Member, Predictor, Sound
from sordino.results import FileAnswer
from sordino.rules import unknown
from sordino.serve.limits import Limits, TooMuch

NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,63}", re.ASCII)


@dataclass
class Resident:
    """What is told of a resident.

    Attributes:
        name: it is asked for by this.
        tasks: what its answers are called, each with its task.
        backbone: the model it is clipped on; `none` for a plain estimator.
        methods: what is attached.
        licence: of the backbone's weights.
        parameters: trained ones, head included.
    """

    name: str
    tasks: dict[str, str]
    backbone: str
    methods: list[str]
    licence: str | None
    parameters: int


class Unknown(LookupError):
    """No resident of this name."""


class Residents:
    """Adapters and plain estimators by name. Any thread may ask, add and remove.

    Args:
        adapters: folders or names by the name they shall have here, see `adapters.locate`.
        plain: tasks answered by their plain estimators, by name.
        limits: how many may be resident, and how long a sound may be.
        **options: see `Predictor`.

    Raises:
        FileNotFoundError: an adapter or the weights of its backbone are not there.
        ValueError: one does not fit its backbone, is called by no name, or there are too many.
    """

    def __init__(
        self,
        adapters: Mapping[str, str | Path],
        plain: Mapping[str, Task] | None = None,
        limits: Limits | None = None,
        **options: Any,
    ):
        self.limits = limits or Limits()
        for name in adapters:
            _check_name(name)
        if len(adapters) > self.limits.adapters:
            raise TooMuch(f"{len(adapters)} adapters; {self.limits.adapters} may be resident")
        self._all = Predictor(list(adapters.values()), list(adapters), plain=plain, **options)
        self._chosen: dict[tuple[str, ...], Predictor] = {}
        self._lock = Lock()

    def __iter__(self):
        return iter(_members(self._all))

    @property
    def predictor(self) -> Predictor:
        """What answers with all of them, as they are now."""
        return self._all

    def listed(self) -> list[Resident]:
        """All of them."""
        predictor = self._all
        learned = [_told(name, member) for name, member in _members(predictor).items() if member is not None]
        return learned + [Resident(name, {name: t.name}, "none", [], None, 0) for name, t in predictor.plain.items()]

    def add(self, name: str, adapter: str | Path, beside: bool = False) -> Resident:
        """Load one more.

        Args:
            name: it is asked for by this.
            adapter: see `adapters.locate`.
            beside: only on a backbone that is here already, see `Predictor.load`.

        Raises:
            FileExistsError: the name is taken.
            ValueError: it is no name, the adapter does not fit, or there are too many.
        """
        _check_name(name)
        member = self._all.load(adapter, name, beside)  # may take long, so others go on
        with self._lock:
            if name in self:
                raise FileExistsError(f"there is a resident {name} already; remove it, or take another name")
            if len(self._all.members) >= self.limits.adapters:
                raise TooMuch(f"{len(self._all.members)} adapters are resident, and no more may be; remove one")
            self._become([*self._all.members, member], self._all.plain)
        return _told(name, member)

    def remove(self, name: str) -> None:
        """Forget one; who asks it at this moment is still answered.

        Raises:
            Unknown: there is none of this name.
        """
        with self._lock:
            self._check_known([name])
            members = [member for member in self._all.members if member.prefix != f"{name}/"]
            self._become(members, {own: task for own, task in self._all.plain.items() if own != name})

    def _become(self, members: Sequence[Member], plain: Mapping[str, Task]) -> None:
        self._all, self._chosen = self._all.changed(members, plain), {}

    def chosen(self, names: Sequence[str] = ()) -> Predictor:
        """What answers with some of them; without names, with all.

        Raises:
            Unknown: there is none of a name.
        """
        wanted = tuple(dict.fromkeys(names))
        if not wanted:
            return self._all
        with self._lock:
            self._check_known(wanted)
            if wanted not in self._chosen:
                known = _members(self._all)
                members = [member for name in wanted if (member := known[name]) is not None]
                plain = {name: self._all.plain[name] for name in wanted if name in self._all.plain}
                if len(self._chosen) >= self.limits.adapters:
                    self._chosen.clear()
                self._chosen[wanted] = self._all.changed(members, plain)
            return self._chosen[wanted]

    def _check_known(self, names: Sequence[str]) -> None:
        for name in names:
            if name not in self:
                raise Unknown(unknown("resident", name[:64], list(self)))

    def answer(
        self, sound: Sound, names: Sequence[str] = (), shown: str = "", go_on: Callable[[], None] = lambda: None
    ) -> tuple[FileAnswer, dict[str, Task]]:
        """Answer one sound.

        Args:
            sound: a file of this server, or what is in memory.
            names: who answers; none for all.
            shown: what the sound is called in the answer and in errors.
            go_on: stops by raising.

        Returns:
            The answer, and its tasks by name.

        Raises:
            Unknown: there is no such resident.
            TooMuch: the sound is longer than granted.
            AudioError: it cannot be read.
        """
        predictor = self.chosen(names)
        try:
            if not predictor.tasks:
                raise Unknown("nothing is resident that could answer")
            length_s = (
                audio.info(sound).duration_s
                if isinstance(sound, str | Path)
                else len(sound.samples) / sound.sample_rate_hz
            )
            if length_s > self.limits.sound_s:
                raise TooMuch(f"{sound}: {length_s:.0f} s of sound; {self.limits.sound_s:g} s are granted")
            (answer,) = predictor.files([sound], go_on=go_on)
            if answer.error is not None:
                raise audio.AudioError(answer.error)
        except (audio.AudioError, TooMuch) as error:
            raise type(error)(str(error).replace(str(sound), shown)) from None
        names_of = _names(predictor)
        answer.path, answer.answers = shown, {names_of[name]: value for name, value in answer.answers.items()}
        return answer, {names_of[name]: task for name, task in predictor.tasks.items()}


def _check_name(name: str) -> None:
    if not NAME.fullmatch(name):
        raise ValueError(f'"{name[:64]}" is no name for an adapter: letters, digits, `.`, `_` and `-`, at most 64')


def _members(predictor: Predictor) -> dict[str, Member | None]:
    """Residents by name; None for plain estimators."""
    return {member.prefix.rstrip("/"): member for member in predictor.members} | dict.fromkeys(predictor.plain)


def _names(predictor: Predictor) -> dict[str, str]:
    """What answers are called, by what they are called in the predictor."""
    short = {
        f"{member.prefix}{task}": member.prefix.rstrip("/") if len(member.model.tasks) == 1 else member.prefix + task
        for member in predictor.members
        for task in member.model.tasks
    }
    return short | {name: name for name in predictor.plain}


def _told(name: str, member: Member) -> Resident:
    model = member.model
    tasks = {name if len(model.tasks) == 1 else f"{name}/{own}": own for own in model.tasks}
    counted = model.count()
    methods = [method.name for method in model.methods]
    return Resident(name, tasks, member.backbone.name, methods, member.backbone.licence,
                    counted["method"] + counted["head"])  # fmt: skip
