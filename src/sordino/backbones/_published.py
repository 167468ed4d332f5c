"""Published models: which files they are, where they are found, and how they are checked.

Files are looked for in sordino's cache, then in the Hugging Face cache, then downloaded at a pinned revision; each must
have the pinned SHA-256.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from sordino.files import write_text


@dataclass(frozen=True)
class Published:
    """A model as it is published on the Hugging Face Hub.

    Attributes:
        title: the model's name for messages.
        repository: `owner/name` on the Hub.
        revision: the pinned commit.
        files: each file and its SHA-256; the first one holds the weights. None: the Hub's own record of it is
            trusted.
        licence: of the weights.
    """

    title: str
    repository: str
    revision: str
    files: Mapping[str, str | None]
    licence: str

    @property
    def folder(self) -> Path:
        """Where a user can put the files by hand."""
        return cache_folder() / "weights" / self.repository.replace("/", "--")

    def __str__(self) -> str:
        return f"{self.repository}@{self.revision[:8]}"

    def where(self) -> str:
        """Where the weights are on this machine, or how to get them, in one line."""
        found = {file: _find(self, file) for file in self.files}
        missing = [file for file, path in found.items() if path is None]
        return advice(self, " and ".join(missing)) if missing else str(next(iter(found.values())))


@dataclass(frozen=True)
class AnyRepository:
    """Weights that lie wherever the user says.

    Attributes:
        families: the kinds of model that are read.
    """

    families: Sequence[str]

    def where(self) -> str:
        """Where they are looked for."""
        kinds = ", ".join(self.families)
        return f"any repository of the Hub whose config.json says {kinds}, or a folder with its files"


def cache_folder() -> Path:
    """`$SORDINO_CACHE`, or `~/.cache/sordino`."""
    return Path(os.environ.get("SORDINO_CACHE") or Path.home() / ".cache" / "sordino")


def locate(published: Published, weights: str | Path | None) -> dict[str, Path]:
    """Find the files of a published model.

    Args:
        published: what to find.
        weights: None to look in the caches and then download; else a folder, or the weights file with the
            other files beside it, which are taken as they are.

    Returns:
        The path of each file.

    Raises:
        FileNotFoundError: a file is nowhere and cannot be fetched; says which, from where, and where to put
            it.
        ValueError: a downloaded file has another hash than the pinned one.
    """
    if weights is None:
        return {file: _find(published, file) or _download(published, file) for file in published.files}
    path = Path(weights)
    first, *others = published.files
    folder = path if path.is_dir() else path.parent
    found = {first: path / first if path.is_dir() else path} | {file: folder / file for file in others}
    for file, place in found.items():
        if not place.is_file():
            raise FileNotFoundError(f"{published.title}: {place} is missing. {advice(published, file)}")
    return found


def advice(published: Published, file: str) -> str:
    """How to get a file by hand."""
    url = f"https://huggingface.co/{published.repository}/tree/{published.revision}"
    return f"Fetch {file} from {url} and put it into {published.folder}, or give its folder as weights=PATH"


def _find(published: Published, file: str) -> Path | None:
    """The file in one of the caches, if it is there and is the pinned one."""
    from huggingface_hub import try_to_load_from_cache

    cached = [
        try_to_load_from_cache(published.repository, file, revision=revision)
        for revision in (published.revision, "main")
    ]
    places = [published.folder / file, *(Path(path) for path in cached if isinstance(path, str))]
    return next((p for p in places if p.is_file() and is_pinned(p, published.files[file])), None)


def _download(published: Published, file: str) -> Path:
    from huggingface_hub import hf_hub_download

    try:
        path = Path(hf_hub_download(published.repository, file, revision=published.revision))
    except Exception as error:  # whatever keeps it from arriving, the way out is the same
        raise FileNotFoundError(
            f"{published.title}: {file} is not here and cannot be downloaded ({type(error).__name__}). "
            f"{advice(published, file)}"
        ) from error
    if not is_pinned(path, published.files[file]):
        raise ValueError(f"{path} is not the published {file} of {published}: its SHA-256 differs; delete it and retry")
    if file == next(iter(published.files)):
        print(f"{published.title}: weights of {published}, licence {published.licence}", file=sys.stderr)
    return path


def is_pinned(path: Path, sha256: str | None) -> bool:
    """Whether the file has this hash; a file that passed once is not read again while it stays unchanged."""
    if sha256 is None:  # large files are named by their hash in the Hugging Face cache
        sha256 = path.resolve().name
        if len(sha256) != 64:
            return True
    status = path.stat()
    passed = cache_folder() / "verified" / sha256
    state = f"{path.resolve()} {status.st_size} {status.st_mtime_ns}"
    if passed.is_file() and passed.read_text() == state:
        return True
    with path.open("rb") as file:
        same = hashlib.file_digest(file, "sha256").hexdigest() == sha256
    if same:
        with suppress(OSError):  # where nothing can be written, it is read again next time
            write_text(passed, state)
    return same
