"""The Hugging Face Hub: single files of a repository, and adapters, a folder as a repository of its own.

`$HF_ENDPOINT` names another server with the same interface, `$HF_TOKEN` or `hf auth login` says who writes.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

from sordino.files import one_line, write_bytes, write_folder

FILES = ("adapter.safetensors", "adapter.json", "README.md", "backbone.safetensors")
NEEDED = FILES[:2]
NAMED = re.compile(r"(?:hf:)?([\w.-]+/[\w.-]+?)(?:@([\w./-]+))?")


def parse(name: str) -> tuple[str, str | None]:
    """Repository and revision of `hf:user/name` or `hf:user/name@revision`.

    Raises:
        ValueError: it is not of this form.
    """
    found = NAMED.fullmatch(name)
    if found is None:
        raise ValueError(f'"{name}" is no repository of the Hub; write user/name or hf:user/name@revision')
    return found[1], found[2]


def download(repository: str, file: str, revision: str | None = None) -> Path | None:
    """Bring one file into the Hub's own cache.

    Returns:
        Where it lies; None when the repository does not hold it.

    Raises:
        FileNotFoundError: the repository cannot be reached, or is not there, and the file is not in the cache either.
    """
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

    try:
        return Path(hf_hub_download(repository, file, revision=revision, endpoint=_endpoint()))
    except Exception as error:  # whatever keeps it from arriving, the way out is the same
        if isinstance(error, EntryNotFoundError) and not isinstance(error, LocalEntryNotFoundError):
            return None
        told = f"{type(error).__name__}: {one_line(error, 120)}"
        raise FileNotFoundError(f"{repository} is not here and cannot be downloaded ({told})") from error


def pull(name: str, out: str | Path | None = None) -> Path:
    """Bring an adapter here.

    Args:
        name: `user/name`, perhaps with `hf:` before it and `@revision` behind.
        out: its folder; None for the Hub's own cache.

    Raises:
        FileNotFoundError: it is not there, or cannot be reached, and is not in the cache either.
        ValueError: what is at `out` is no adapter.
    """
    repository, revision = parse(name)
    if out is not None:
        check_replaceable(out)
    paths = []
    for file in FILES:
        path = download(repository, file, revision)
        if path is not None:
            paths.append(path)
        elif file in NEEDED:
            raise FileNotFoundError(f"{repository} is no adapter of sordino: it holds no {file}")
    if out is None:
        return paths[0].parent

    def fill(part: Path) -> None:
        for path in paths:
            write_bytes(part / path.name, path.read_bytes())

    return write_folder(out, fill)


def check_replaceable(folder: str | Path) -> None:
    """Raise ValueError unless nothing but an older adapter is lost with this folder."""
    folder = Path(folder)
    held = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    if not folder.exists() or (folder.is_dir() and not held):
        return
    foreign = [name for name in held if name not in FILES]
    try:
        known = {"format", "methods"} <= json.loads((folder / "adapter.json").read_text(encoding="utf-8")).keys()
    except (OSError, ValueError, AttributeError):
        known = False
    if foreign or not known:
        told = f"holds {', '.join(foreign[:3])}" if foreign else "is no adapter"
        raise ValueError(f"{folder} is there and {told}; nothing was written: give another place, or move it away")


def push(folder: str | Path, name: str, private: bool = False) -> str:
    """Put an adapter there, in a repository that is made where there is none.

    Args:
        folder: the adapter.
        name: `user/name`.
        private: whether a new repository is.

    Returns:
        Where it is.

    Raises:
        OSError: it could not be put there; says why.
    """
    from huggingface_hub import HfApi

    repository, _ = parse(name)
    api = HfApi(endpoint=_endpoint())
    try:
        api.create_repo(repository, private=private, exist_ok=True)
        api.upload_folder(repo_id=repository, folder_path=Path(folder), allow_patterns=list(FILES))
    except Exception as error:
        told = f"{type(error).__name__}: {one_line(error, 160)}"
        raise OSError(f"{repository} could not be written ({told}); is there a token? (hf auth login)") from error
    return f"{api.endpoint}/{repository}"


def _endpoint() -> str | None:
    return os.environ.get("HF_ENDPOINT") or None
