"""Encoders of the Hub: HuBERT, wav2vec 2.0 (and its conformer), WavLM, data2vec, UniSpeech-SAT, Whisper, AST, CLAP.

A repository's `config.json` names the family; its layers are built from our own parts, so every site is there and every
method can be attached. `transformers` is not needed, and no code of a repository is run, unless `remote_code` says so.
`weights` may be a folder with the repository's files.

Paper: Wolf et al., Transformers: State-of-the-Art Natural Language Processing, 2020 https://arxiv.org/abs/1910.03771
    (the files' format); each family's paper stands in its file.
Differs: see _wave_encoder.py, _wave_families.py, _whisper.py, _ast.py and _clap.py; what only pretraining or another
    task needs (quantisers, decoders, output layers) is left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sordino.backbones._ast import SpectrogramTransformer
from sordino.backbones._clap import ClapAudio
from sordino.backbones._hub_encoder import HubEncoder
from sordino.backbones._published import AnyRepository
from sordino.backbones._wave_families import Data2VecAudio, HuBERT, WaveConformer, WavLM
from sordino.backbones._whisper import Whisper

FAMILIES: dict[str, type[HubEncoder]] = {  # by the `model_type` of config.json
    "hubert": HuBERT,
    "mert_model": HuBERT,
    "wav2vec2": HuBERT,
    "unispeech-sat": HuBERT,
    "wavlm": WavLM,
    "data2vec-audio": Data2VecAudio,
    "wav2vec2-conformer": WaveConformer,
    "whisper": Whisper,
    "audio-spectrogram-transformer": SpectrogramTransformer,
    "clap": ClapAudio,
    "clap_audio_model": ClapAudio,
}


class HuggingFace(HuBERT):
    """Every family; `load` builds the one that a repository holds."""

    name = "huggingface"
    title = "Encoders of the Hugging Face Hub"
    paper = "https://arxiv.org/abs/1910.03771"
    licence = "as the repository says"
    published = {"model=OWNER/NAME": AnyRepository(tuple(FAMILIES))}

    @classmethod
    def of(cls, config: Mapping[str, Any], where: str) -> type[HubEncoder]:
        """The family.

        Raises:
            ValueError: it is none of these.
        """
        family = FAMILIES.get(str(config.get("model_type")))
        if family is None:
            raise ValueError(
                f'{where}: model_type = "{config.get("model_type")}" is none of {", ".join(FAMILIES)}; '
                "remote_code = true runs code of the repository's own, or write a file: docs/add_a_backbone.md"
            )
        return family
