"""What people write in the cells of a table: nothing, a number, a length of time, several labels.

Conventions:
- `EMPTY` words (`n/a`, `NaN`, `None`, `-`) are no label, as an empty cell is. A small `none` is a label (no key).
- A decimal comma is a decimal point: `97,5` is 97.5.
- A time is a number of seconds, `3:45` or `1:02:03.5`.
- Several labels stand between `;` or `|`, or else between commas: `dark; techno`, `dark, techno`. So one of them may
  hold a comma where semicolons are used: `Folk, World; Latin`.
"""

from __future__ import annotations

import math
import re
import unicodedata
from typing import Any

EMPTY = frozenset(("", "-", "--", "–", "—", "n/a", "N/A", "NA", "#N/A", "nan", "NaN", "NAN", "None", "null", "NULL"))


def is_empty(value: Any) -> bool:
    """Whether a cell says that there is nothing: empty, not a number, or one of the `EMPTY` words."""
    return value is None or value != value or (isinstance(value, str) and value.strip() in EMPTY)


def number(value: Any) -> float:
    """A number, also with a decimal comma.

    Raises:
        ValueError: it is none.
    """
    if isinstance(value, str) and re.fullmatch(r"\s*[-+]?\d*,\d+(?:[eE][-+]?\d+)?\s*", value):
        value = value.replace(",", ".")
    return float(value)


def seconds(value: Any) -> float:
    """A length of time in seconds: a number, `3:45`, `1:02:03.5`.

    Raises:
        ValueError: it is none, as what is below 0 or infinite.
    """
    *larger, last = str(value).split(":")
    if len(larger) > 2 or any(not part.strip().isdigit() for part in larger) or not 0 <= number(last) < math.inf:
        raise ValueError(f'"{value}" is no time')
    return sum(int(part) * 60.0**power for power, part in enumerate(reversed(larger), 1)) + number(last)


def several(text: str) -> list[str]:
    """The labels of a cell, in their order, without empty ones."""
    parts = re.split(r"[;|]" if re.search(r"[;|]", text) else r",", text)
    return [part.strip() for part in parts if part.strip()]


def plain_name(text: str) -> str:
    """A name without case, units in brackets, and whatever is no letter or digit: `Tempo (BPM)` is `tempo`."""
    text = unicodedata.normalize("NFC", re.sub(r"[(\[].*?[)\]]", "", text)).casefold()
    return re.sub(r"[\W_]+", "", text)


def words(label: Any) -> list[str]:
    """A label as it is counted: itself, each of several, or for what is a mapping or rows, that it is there."""
    if isinstance(label, (list, tuple)) and all(isinstance(one, str) for one in label):
        return list(label)
    if isinstance(label, (dict, list, tuple)):
        return ["annotated"]
    return [f"{label:g}" if isinstance(label, float) else str(label)]
