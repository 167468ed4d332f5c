"""How data are named, in one text: a corpus, a version of it, options, several corpora, or a path.

    demo                                              a corpus
    gtzan_key:mini                                    a version of one, which lies elsewhere
    giantsteps_mtg_key:split=paper                    a corpus with an option (`sordino show NAME` lists them)
    giantsteps_mtg_key:split=paper+giantsteps_key     several as one
    music/labels.csv                                  a user's own folder or table
    my_corpus.py:MyCorpus:split=paper                 a class in a user's own file or another package (outside.py)

In TOML the same may be a table, `{name = "giantsteps_mtg_key", split = "paper"}`, or a list of texts and tables; an
option goes to all of several corpora that have it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from sordino import outside, registry
from sordino.files import is_there
from sordino.rules import shown, unknown
from sordino.settings import fit_keys, settings

FOLDER = "folder"  # what reads a path
_PLACED = re.compile(r"((?:[^:]+\.py|[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+):[A-Za-z_]\w*)(?::(.*))?$")  # not NAME:VERSION


class Named(NamedTuple):
    """One corpus, or a path.

    Attributes:
        corpus: the dataset's name; `folder` for a path.
        place: the path; None for a corpus.
        options: `version` among them where one is asked for.
        source: where the class is from, for one that the user named by its place.
    """

    corpus: str
    place: str | None
    options: dict[str, Any]
    source: str = ""

    def __str__(self) -> str:
        told = [self.options["version"]] if self.options.get("version") else []
        told += [f"{key}={value}" for key, value in self.options.items() if key != "version"]
        return (self.place or self.source or self.corpus) + (f":{','.join(told)}" if told else "")


def parse_data(value: str | Path | Mapping[str, Any] | Sequence[Any]) -> list[Named]:
    """What a name, a table of a name and options, or a list of these stands for, options checked.

    Raises:
        ValueError: no corpus and no path here has the name, or it has no such version or option; the nearest is told.
    """
    if isinstance(value, Mapping):
        if "name" not in value:
            raise ValueError(f'data = {shown(value)} has no name; write {{name = "...", ...}}')
        options = {str(key): option for key, option in value.items()}
        return _with_options(parse_data(options.pop("name")), options)
    if not isinstance(value, (str, Path, Sequence)):
        raise ValueError(f"data = {shown(value)}; it wants a dataset's name or a path, or a table or list of these")
    if not isinstance(value, (str, Path)):
        return [named for part in value for named in parse_data(part)]
    several, corpora = str(value).split("+"), registry.names("dataset")
    if all(map(is_corpus, several)):
        return [_corpus(part) for part in several]
    if is_there(value):
        return [Named(FOLDER, str(value), {})]
    path, colon, told = str(value).rpartition(":")
    if colon and "=" in told and is_there(path):
        return [Named(FOLDER, path, _checked(FOLDER, told))]
    raise ValueError(unknown("dataset or path", str(value), corpora))


def is_corpus(text: str) -> bool:
    """Whether a text begins with a corpus's name, or with the place of a class."""
    return text.partition(":")[0] in registry.names("dataset") or _PLACED.match(text) is not None


def _corpus(text: str) -> Named:
    if placed := _PLACED.match(text):
        (found,) = outside.use(placed[1], "dataset")
        return Named(found.name, None, _checked(found.name, placed[2]) if placed[2] else {}, placed[1])
    name, colon, told = text.partition(":")
    if colon and "=" not in (version := told.partition(",")[0]):
        registry.find("dataset", name).check_version(version)
    return Named(name, None, _checked(name, told) if colon else {})


def _checked(corpus: str, told: str) -> dict[str, Any]:
    """Options from `version,option=value`."""
    pairs = [(key, value) if equals else ("version", key) for key, equals, value in
             (part.partition("=") for part in told.split(","))]  # fmt: skip
    plain = {key: int(value) if value.isdecimal() else value for key, value in pairs}
    return fit_keys(registry.maker("dataset", corpus), plain, corpus)


def _with_options(named: list[Named], options: Mapping[str, Any]) -> list[Named]:
    known = [set(settings(registry.maker("dataset", each.corpus))) - {"root"} for each in named]
    for key in options:
        if not any(key in names for names in known):
            raise ValueError(unknown("setting", key, sorted(set().union(*known)), f"{named[0].corpus}."))
    return [each._replace(options=each.options | fit_keys(registry.maker("dataset", each.corpus),
            {key: value for key, value in options.items() if key in names}, each.corpus))
            for each, names in zip(named, known, strict=True)]  # fmt: skip


@dataclass(frozen=True)
class DataOf(registry.SpecOf):
    """Named data; kept as one text."""

    kind: str = "dataset"

    def check(self, value: Any, where: str, wanted: str) -> str:
        """The one text. A name that is neither a corpus nor here stands as it is: it may be a path of another machine.

        Raises:
            ValueError: a corpus has no such option, or wants another value.
        """
        if isinstance(value, str) and not all(map(is_corpus, value.split("+"))):
            return value
        return "+".join(map(str, parse_data(value)))

    def wants(self, base: str) -> str:
        """The forms it has."""
        return "a dataset's name or a path, or a table of it and options, or several of these"
