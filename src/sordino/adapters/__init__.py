"""Small trained adapters that ship with the package, found by name; `choices.json` says what the song card uses.

key.adapter/     adapter.safetensors, adapter.json, README.md: made by `tools/build_adapters.py`
choices.json     by part of the song card: adapter or plain estimator, and the scores that decided it
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from sordino.rules import unknown

FOLDER = Path(__file__).parent
SUFFIX, ON_THE_HUB = ".adapter", "hf:"


def names() -> list[str]:
    """The adapters that ship with the package."""
    return sorted(path.name.removesuffix(SUFFIX) for path in FOLDER.glob(f"*{SUFFIX}"))


def shipped(name: str) -> Path | None:
    """The folder of an adapter that ships with the package, or None."""
    folder = FOLDER / f"{name}{SUFFIX}"
    return folder if folder.is_dir() else None


def locate(adapter: str | Path) -> Path:
    """The folder that an adapter's name means.

    Args:
        adapter: a path, the name of one that ships with the package (`key`), or `hf:user/name`, which is downloaded.

    Raises:
        FileNotFoundError: it is none of these.
    """
    text = str(adapter)
    if text.startswith(ON_THE_HUB):
        from sordino.hub import pull

        return pull(text)
    folder = None if Path(text).exists() else shipped(text)
    if folder is None:
        _check(text)
    return folder or Path(text)


def choices() -> dict[str, Any]:
    """By part of the song card, `use` (`adapter` or `plain`), and by what and on which data it was scored."""
    path = FOLDER / "choices.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def _check(text: str) -> None:
    """Raise FileNotFoundError for a word that is neither a path nor a name; a path is the reader's to refuse."""
    if not Path(text).exists() and "/" not in text and not text.endswith(SUFFIX) and names():
        raise FileNotFoundError(unknown("adapter", text, names()) + "; or give an adapter's folder, or hf:user/name")
