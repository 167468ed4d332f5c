"""One validation for every settings class: what a field may hold, how errors name it, and what help is made of."""

import inspect
import math
from dataclasses import dataclass, field, is_dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import pytest

from sordino import registry
from sordino.augment import Augmentation
from sordino.config import Config, Training
from sordino.heads import HeadConfig
from sordino.layers import Layers, parse_layers
from sordino.rules import ByRole, Count, Filled, Positive, Range
from sordino.settings import KeysOf, Settings, build, fit, flat, settings

OWNERS = [Config, Training, HeadConfig, Augmentation] + [
    registry.maker(kind, name) for kind in registry.FOLDERS for name in registry.names(kind)
]


@dataclass
class Inner(Settings):
    """A table.

    Attributes:
        x: a number of it.
    """

    x: Positive = 1.0


@dataclass
class Outer(Settings):
    """All kinds of fields.

    Attributes:
        n: how many,
            told in two lines.
        word: which.
    """

    n: Count = 1
    word: Literal["one", "two"] = "one"
    odd: ByRole[Annotated[int, Range(1, odd=True)]] = 3
    names: Annotated[list[str], Filled()] = field(default_factory=lambda: ["a"])
    pair: tuple[float, float] | None = None
    inner: Inner = field(default_factory=Inner)
    some: Annotated[dict[str, Any], KeysOf(Inner)] = field(default_factory=dict)
    layers: Annotated[str | int, Layers()] = "all"
    place: str | Path | None = None


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"n": 0}, "run.n = 0; it wants a whole number (1 or more)"),
        ({"n": True}, "run.n = true; it wants a whole number (1 or more)"),
        ({"n": 2.0}, "run.n = 2.0; it wants a whole number (1 or more)"),
        ({"word": "tow"}, 'run.word = "tow"; it wants one or two; did you mean "two"?'),
        ({"odd": 4}, "run.odd = 4; it wants an odd whole number (1 or more) or a table of these"),
        ({"odd": {"attn.q": 4}}, 'run.odd."attn.q" = 4; it wants an odd whole number (1 or more)'),
        ({"names": []}, "run.names = []; it wants a list, each a text, not empty"),
        ({"names": ["a", 3]}, "run.names[1] = 3; it wants a text"),
        ({"pair": [1, 2, 3]}, "run.pair = [1, 2, 3]; it wants 2 in a list, a number, a number or none"),
        ({"pair": [1, math.nan]}, "run.pair[1] = nan; it wants a number"),
        ({"inner": {"x": math.inf}}, "run.inner.x = inf; it wants a number (more than 0)"),
        ({"inner": {"y": 1}}, 'unknown setting "run.inner.y". Known: x'),
        ({"some": {"x": "much"}}, 'run.some.x = "much"; it wants a number (more than 0)'),
        ({"wrd": "one"}, 'unknown setting "run.wrd"; did you mean "run.word"? Known: n, word'),
        ({"layers": "6-4"}, 'run.layers = "6-4"; 6-4 runs backwards; write 4-6'),
        ({"place": 3}, "run.place = 3; it wants a text, a path or none"),
    ],
)
def test_an_error_is_one_line_with_path_value_and_what_is_wanted(values, message):
    with pytest.raises(ValueError) as caught:
        build(Outer, values, "run")
    assert str(caught.value).startswith(message) and "\n" not in str(caught.value)


def test_values_take_their_usual_form():
    made = build(Outer, {"pair": [1, np.float32(2)], "names": "b", "inner": {"x": 2}, "layers": 6, "n": np.int64(4)})
    assert (made.pair, made.names, made.inner, made.layers, made.n) == ((1.0, 2.0), ["b"], Inner(2.0), "6", 4)
    assert type(made.pair[0]) is float and type(made.n) is int


def test_nothing_is_shared_with_what_was_given():
    given = {"names": ["a"], "inner": Inner(3.0), "some": {"x": 1.0}}
    first, second = build(Outer, given), build(Outer, given)
    first.names.append("b")
    first.inner.x, first.some["x"] = 9.0, 9.0
    assert given == {"names": ["a"], "inner": Inner(3.0), "some": {"x": 1.0}}
    assert (second.names, second.inner, second.some) == (["a"], Inner(3.0), {"x": 1.0})
    assert Outer().names is not Outer().names


def test_python_is_checked_as_configs_are():
    with pytest.raises(ValueError, match=r"Training\.steps = -5"):
        Training(steps=-5)
    with pytest.raises(ValueError, match=r"lora\.r = 0"):
        registry.find("method", "lora")(r=0)
    with pytest.raises(ValueError, match=r"key\.label_smoothing = 2"):
        registry.find("task", "key")(label_smoothing=2.0)


def test_what_is_meant_and_what_is_wanted_is_told_once():
    told = {setting.name: setting for setting in flat(Outer)}
    assert told["n"].told == "how many, told in two lines.  [a whole number (1 or more)]"
    assert str(told["inner.x"]) == "inner.x = 1.0" and "some.x" in told
    assert settings(Outer)["word"].help == "which."


@pytest.mark.parametrize("owner", OWNERS, ids=lambda owner: getattr(owner, "__qualname__", str(owner)))
def test_every_setting_is_typed_told_and_has_a_fitting_default(owner):
    """Whatever stands in one of the folders, and the classes of a run."""
    for name, setting in settings(owner).items():
        if name in ("root", "config", "parts"):  # a place, or what another library checks
            continue
        assert setting.hint is not Any, f"{owner}: {name} has no type"
        assert setting.help, f"{owner}: the docstring says nothing of {name}"
        assert setting.default is not inspect.Parameter.empty
        fit(setting.default, setting.hint, name)


def test_a_settings_class_does_not_forget_its_check():
    for owner in OWNERS:
        if isinstance(owner, type) and is_dataclass(owner):
            assert issubclass(owner, Settings), owner


@pytest.mark.parametrize(
    ("choice", "lowest", "expected"),
    [
        ("all", 1, [1, 2, 3, 4]),
        ("all", 0, [1, 2, 3, 4]),
        ("last", 1, [4]),
        (3, 1, [3]),
        ("0", 0, [0]),
        (" 4, 1-2 ", 1, [1, 2, 4]),
        ("0,2-4", 0, [0, 2, 3, 4]),
    ],
)
def test_a_choice_of_layers(choice, lowest, expected):
    assert parse_layers(choice, 4, lowest) == expected


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ("0", "0 is no layer; they count from 1"),
        (0, "0 is no layer; they count from 1"),
        ("5", "there is no layer 5, the backbone has 1 to 4"),
        ("1-99999999999", "there is no layer 99999999999, the backbone has 1 to 4"),
        ("4-2", "4-2 runs backwards; write 2-4"),
        ("1,1", "layer 1 is named twice"),
        ("1-3,2", "layer 2 is named twice"),
        ("", "it wants all, last, 6"),
        ("first", "it wants all, last, 6"),
        ("-1", "it wants all, last, 6"),
        ("²", "it wants all, last, 6"),
        ("mean:2", "it wants all, last, 6"),
    ],
)
def test_a_wrong_choice_of_layers(choice, message):
    with pytest.raises(ValueError, match=message):
        parse_layers(choice, 4)


def test_heads_and_methods_take_a_number_alike():
    assert build(HeadConfig, {"layers": 3}).needed_states(4) == [3]
    assert build(HeadConfig, {"layers": "mean:0-1"}).needed_states(4) == [0, 1]
    assert registry.make("method", "lora", {"layers": 3}).layers == "3"
    with pytest.raises(ValueError, match=r"head\.layers = \"3-1\"; 3-1 runs backwards"):
        build(HeadConfig, {"layers": "3-1"}, "head")
