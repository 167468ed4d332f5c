"""A repository of models on the Hugging Face Hub, or a folder with its files: configurations and tensors."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from sordino import hub
from sordino.backbones._weights import read_tensors

CONFIG, PREPROCESSOR = "config.json", "preprocessor_config.json"
WEIGHTS = ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json")


@dataclass(frozen=True)
class Files:
    """A repository's files, in a folder or on the Hub.

    Attributes:
        model: the repository.
        folder: where its files lie; None to look in the Hub's cache and download.
    """

    model: str
    folder: Path | None

    @classmethod
    def named(cls, model: str, weights: object) -> Files:
        """Those that the backbone's options name: of the folder `weights`, else (none, or random) of the repository."""
        in_repository = weights is None or str(weights).partition(":")[0] == "random"
        return cls(model, None if in_repository else Path(str(weights)))

    def __str__(self) -> str:
        return str(self.folder or self.model)

    def find(self, file: str) -> Path | None:
        """The file, if there is one.

        Raises:
            FileNotFoundError: the repository cannot be reached, and the file is not in the Hub's cache.
        """
        if self.folder is None:
            repository, revision = hub.parse(self.model)
            return hub.download(repository, file, revision)
        path = self.folder / file
        return path if path.is_file() else None

    def needed(self, file: str) -> Path:
        """The file.

        Raises:
            FileNotFoundError: there is none.
        """
        found = self.find(file)
        if found is None:
            raise FileNotFoundError(f"{self} holds no {file}; give a repository of the Hub, or a folder with its files")
        return found

    def said(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """What is said of the network, and of the sound that it wants (nothing, where that is in no file).

        Raises:
            FileNotFoundError: no file says anything of the network.
        """
        preprocessor = self.find(PREPROCESSOR)
        config = json.loads(self.needed(CONFIG).read_text())
        return config, json.loads(preprocessor.read_text()) if preprocessor else {}

    def tensors(self) -> dict[str, Tensor]:
        """All tensors, from one file or from the several that an index names.

        Raises:
            FileNotFoundError: there are none.
        """
        for name in WEIGHTS:
            path = self.find(name)
            if path is not None and path.suffix != ".json":
                return read_tensors(path)
            if path is not None:
                parts = sorted(set(json.loads(path.read_text())["weight_map"].values()))
                return {key: value for part in parts for key, value in read_tensors(self.needed(part)).items()}
        raise FileNotFoundError(f"{self} holds none of {', '.join(WEIGHTS)}")
