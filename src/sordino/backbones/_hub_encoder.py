"""What encoders of the Hugging Face Hub share: a repository's files, its configuration, and the way to a network."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar

from torch import Tensor

from sordino.backbones._remote import RemoteEncoder
from sordino.backbones._repository import Files
from sordino.backbones._weights import above, build, build_random
from sordino.contracts import Backbone
from sordino.rules import Count

USUAL = "facebook/hubert-base-ls960"
KNOWN: tuple[dict[str, Any], dict[str, Any]] = ({"model_type": "hubert"}, {})  # its configurations
UNUSED = (
    "masked_spec_embed",  # stands for masked frames in pretraining
    "quantizer.*",
    "project_*",
    "label_embs_concat",
    "final_proj.*",
    "speaker_proj.*",
    "lm_head.*",
    "proj_out.*",
    "classifier.*",
    "projector.*",
    "layer_weights",
    "tdnn.*",
    "feature_extractor.weight",  # the last layer of a speaker network
    "feature_extractor.bias",
    "layer_norm_for_extract.*",
    "label_embeddings_concat",
    "objective.*",
    "adapter.*",  # shortens the last state for a decoder
    "decoder.*",
    "embed_positions.*",  # sinusoids or rotary frequencies, which are computed here
)

UNTOLD = ("num_attention_heads", "encoder_attention_heads", "do_stable_layer_norm", "layer_norm_eps", "conv_stride",
          "max_bucket_distance", "frequency_stride", "time_stride", "mean", "std")  # fmt: skip


class HubEncoder(Backbone):
    """An encoder that is built from a repository of the Hub.

    Attributes:
        prefixes: of its tensors' names in files of a whole model; one of them.
        unused: patterns of names that are in its files and are not used, beside `UNUSED`.
        decides: what of `preprocessor_config.json` decides the states, beside `UNTOLD`.
        small: the configuration of a miniature.
    """

    name = "huggingface"
    sample_rate_hz = 16_000  # where no preprocessor_config.json says another
    prefixes: ClassVar[tuple[str, ...]] = ()
    unused: ClassVar[tuple[str, ...]] = ()
    decides: ClassVar[tuple[str, ...]] = ()
    small: ClassVar[Mapping[str, Any]] = {}

    @classmethod
    def part_of(cls, config: Mapping[str, Any]) -> Mapping[str, Any]:
        """What a configuration says of this encoder, where it is one of several."""
        return config

    @classmethod
    def n_published(cls, config: Mapping[str, Any]) -> int:
        """How many layers a configuration has."""
        return config.get("num_hidden_layers") or config["encoder_layers"]

    @classmethod
    @abstractmethod
    def configured(cls, config: Mapping[str, Any], normalise: bool, depth: int | None = None) -> HubEncoder:
        """Build it as a parsed `config.json` says.

        Args:
            config: what the file holds.
            normalise: bring each clip to mean 0 and variance 1 first, where that means something to it.
            depth: how many layers to build; None for all.

        Raises:
            ValueError: the configuration asks for something that it does not have.
        """

    @classmethod
    @abstractmethod
    def renamed(cls, tensors: Mapping[str, Tensor], config: Mapping[str, Any]) -> dict[str, Tensor]:
        """The published tensors by the names that they have here."""

    @classmethod
    def of(cls, config: Mapping[str, Any], where: str) -> type[HubEncoder]:
        """The class that is built for a configuration."""
        return cls

    def listen(self, heard: Mapping[str, Any]) -> None:
        """Take the sound as a parsed `preprocessor_config.json` says."""
        self.sample_rate_hz = heard.get("sampling_rate", self.sample_rate_hz)

    @classmethod
    def load(
        cls,
        weights: str | Path | None = None,
        depth: Count | None = None,
        model: str = USUAL,
        normalise: bool | None = None,
        remote_code: bool = False,
    ) -> Backbone:
        """Build it with its weights.

        Args:
            weights: none for those of the repository, `random` or `random:SEED` for a network of its shape, or a folder
                that holds the repository's files.
            depth: how many layers to build; none for all.
            model: the repository, `owner/name` or `owner/name@revision`.
            normalise: bring each clip to mean 0 and variance 1; none for what the repository says.
            remote_code: run the code that comes with the repository, where it is of no family that is known; whoever
                wrote it can then do on this machine what you can.

        Raises:
            FileNotFoundError: a file is not here and cannot be had; says which.
            ImportError: `remote_code` wants a package that is not installed.
            ValueError: the repository holds another kind of model, or its weights do not fit.
        """
        if remote_code:
            return RemoteEncoder.load(weights, depth, model, normalise)
        untrained = str(weights).partition(":")[0] == "random"
        files = Files.named(model, weights)
        config, heard = KNOWN if untrained and model == USUAL else files.said()
        network = cls.of(config, str(files))
        config = network.part_of(config)
        normed = heard.get("do_normalize", True) if normalise is None else normalise

        def make() -> HubEncoder:
            made = network.configured(config, normed, depth)
            made.listen(heard)
            decides = untold({**heard, **config}, network.decides)
            made.states_depend_on = " ".join([config["model_type"], *decides, f"{normed=}"])
            return made

        built = build_random(make, weights)
        if built is None:
            prefixes = (*network.prefixes, "encoder.")
            tensors = {without(name, prefixes): value for name, value in files.tensors().items()}
            unused = [*UNUSED, *network.unused, *above(depth, network.n_published(config))]
            built = build(make, network.renamed(tensors, config), unused, str(files))
        return built

    @classmethod
    def tiny(cls, seed: int = 0) -> Backbone:
        """Two layers of width 16."""
        made = build_random(lambda: cls.configured(cls.small, normalise=True), f"random:{seed}")
        assert made is not None
        return made


def without(name: str, prefixes: Iterable[str]) -> str:
    """A tensor's name without these, taken off one after the other where they stand."""
    for prefix in prefixes:
        name = name.removeprefix(prefix)
    return name


def by_our_names(
    tensors: Mapping[str, Tensor], names: Mapping[str, str], biased: tuple[str, ...] = ()
) -> dict[str, Tensor]:
    """Published tensors by the names that they have here.

    Args:
        tensors: the published ones.
        names: parts of published names, and ours, replaced in this order.
        biased: ends of our maps' names that want a bias; zeros, where none was published.
    """
    ours: dict[str, Tensor] = {}
    for name, value in tensors.items():
        for theirs, own in names.items():
            name = name.replace(theirs, own)
        ours[name] = value
    for name in [name for name in ours if name.endswith(tuple(f"{end}.weight" for end in biased))]:
        ours.setdefault(name.removesuffix("weight") + "bias", ours[name].new_zeros(len(ours[name])))
    return ours


def untold(config: Mapping[str, Any], more: Iterable[str] = ()) -> Iterable[str]:
    """What a configuration says that no tensor's shape tells and that changes the states."""
    for key in (*UNTOLD, *more):
        if key in config:
            yield f"{key}={config[key]}"
