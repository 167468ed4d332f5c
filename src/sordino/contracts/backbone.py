"""Backbone: a network from waveform to hidden states, with named sites."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from sordino.contracts.sharing import twin_of
from sordino.contracts.weights import OwnHead, Weights, whereabouts
from sordino.fingerprints import fingerprint
from sordino.rules import Count
from sordino.sites import Site, Tap

if TYPE_CHECKING:
    from sordino.contracts.attachment import Attachment, Merged

States = list[Any]  # of Float[Tensor, "batch frame dim"]; None stands for one that was not computed


class Frames(NamedTuple):
    """A sequence of vectors and which of them are real.

    Attributes:
        x: the vectors, [batch frame dim].
        mask: True where a frame is real, False where it is padding; None when all are real.
    """

    x: Tensor
    mask: Tensor | None = None


class Backbone(nn.Module, ABC):
    """A network from waveform to hidden states. A subclass sets the attributes, `layers`, and two small functions.

    Hidden state 0 is what enters layer 1, hidden state k what leaves layer k; the last one has passed the final norm.
    The frontend runs clip by clip where lengths differ, so padding in a batch never reaches it. It stays frozen unless
    a method trains it with the rest (`finetune` with `frontend`).

    Attributes:
        name: the file's name, the name in every config and table.
        sample_rate_hz: the rate of the waveforms it wants, mono, float, full scale +-1.
        hop_samples: samples from one frame to the next.
        dim: the width of a hidden state.
        layers: the encoder's layers; each is called as `layer(x, mask)`, begins with its own tap `tokens`, and
            tells its `sites(path, layer)`.
        weights: where the weights come from, one line: `random (seed 0)`, a file, a published name.
        licence: the weights' licence, as an SPDX identifier where there is one.
        version: raised when the same weights and the same sound give other states.
        states_depend_on: what decides the states beside weights, buffers and version; empty for what is usual.
        published: by variant, the weights that were published.
        embeds: `embed` does something, so that state 0 is not what the frontend gives.
        attached: what is attached, in order; it works whenever the backbone is called.
        merges: those of them that are merged into the weights; the last is undone first.
    """

    name: ClassVar[str]
    title: ClassVar[str] = ""
    paper: ClassVar[str] = ""
    licence: ClassVar[str] = ""
    version: ClassVar[int] = 1
    published: ClassVar[Mapping[str, Weights]] = {}
    embeds: ClassVar[bool] = False
    sample_rate_hz: int = 24_000
    hop_samples: int
    dim: int
    weights: str = "random"
    states_depend_on: str = ""
    layers: nn.ModuleList

    def __init__(self) -> None:
        super().__init__()
        self.tokens: Tap = Tap()
        self.states: Tap = Tap()
        self.attached: list[Attachment] = []
        self.merges: list[Merged] = []
        self._top: int | None = None

    @classmethod
    @abstractmethod
    def load(cls, weights: str | Path | None = None, depth: Count | None = None) -> Backbone:
        """Build it with its weights. A backbone's own options follow, each with its type and its line in `Args:`.

        Args:
            weights: none for the published or built-in ones, `random` or `random:SEED` for untrained ones, or a path.
            depth: how many layers to build; none for all.

        Raises:
            FileNotFoundError: the weights are not here; says which file to fetch and where to put it.
            ValueError: a tensor is missing, unknown or of the wrong shape.
        """

    @classmethod
    @abstractmethod
    def tiny(cls, seed: int = 0) -> Backbone:
        """A random miniature of the same kind (2 layers, a few thousand parameters) for tests."""

    @classmethod
    def where(cls) -> str:
        """Where the weights are, or how to get them, one line for each set of weights."""
        return whereabouts(cls.published)

    @classmethod
    def fetch(cls, **options: Any) -> None:
        """Bring the weights onto this machine, as `load` does when it looks for them; what is here stays.

        Args:
            **options: those of `load`.

        Raises:
            FileNotFoundError: they cannot be had; says how to get them by hand.
        """
        cls.load(**{"depth": 1, **options})

    @classmethod
    def own_heads(cls, **options: Any) -> list[OwnHead]:
        """Output layers that were published with the weights; most have none.

        Args:
            **options: those of `load`.
        """
        return []

    @abstractmethod
    def n_frames(self, n_samples: int) -> int:
        """How many frames a clip of `n_samples` gives (at least 1)."""

    @abstractmethod
    def extract(self, waveform: Float[Tensor, "batch time"]) -> Float[Tensor, "batch frame dim"]:
        """The frontend for clips of one length: what enters the encoder."""

    def unpack(self, frames: Frames) -> Frames:
        """The tokens that the layers work on, and their mask; the frames themselves, where a frame is one token.

        Frames may be put behind them where the layers want a certain number; the mask is then False there.
        """
        return frames

    def pack(self, x: Float[Tensor, "batch token dim"]) -> Float[Tensor, "batch frame packed"]:
        """The reverse of `unpack`: a hidden state from which the encoder can go on."""
        return x

    def narrow(self, state: Float[Tensor, "batch frame packed"]) -> Float[Tensor, "batch frame dim"]:
        """What heads read of such a state."""
        return state

    def embed(self, x: Float[Tensor, "batch frame dim"], mask: Tensor | None) -> Tensor:
        """Positions and whatever else comes before layer 1 and behind the prompts."""
        return x

    def finish(self, x: Float[Tensor, "batch frame dim"]) -> Tensor:
        """The final norm behind the last built layer."""
        return x

    def layer_sites(self, layer: int) -> list[Site]:
        """The sites inside layer `layer` (from 1); by default those that its module tells, `sites(path, layer)`."""
        built: Any = self.layers[layer - 1]
        return built.sites(f"layers.{layer - 1}", layer)

    @property
    def n_layers(self) -> int:
        """How many layers are built."""
        return len(self.layers)

    @property
    def top(self) -> int:
        """The highest hidden state that anyone reads: no part belongs above it, because no gradient would reach it."""
        return self.n_layers if self._top is None else self._top

    def packed_dim(self, state: int) -> int:
        """Width of a hidden state as it is kept: that of a token for each one that `unpack` makes of a frame."""
        return self.dim

    @property
    def frame_rate_hz(self) -> float:
        """Frames per second."""
        return self.sample_rate_hz / self.hop_samples

    def sites(self) -> list[Site]:
        """Every site, from `tokens` to `states`."""
        ends = [Site("tokens", "tokens", 0, self.dim, self.dim)]
        for layer in range(1, self.n_layers + 1):
            ends.append(Site(f"layers.{layer - 1}.tokens", "layer.tokens", layer, self.dim, self.dim))
            ends += self.layer_sites(layer)
        return [*ends, Site("states", "states", self.n_layers + 1, self.dim, self.dim)]

    @torch.no_grad()
    def frontend(self, waveform: Float[Tensor, "batch time"], n_samples: Int[Tensor, " batch"] | None = None) -> Frames:
        """What enters the encoder, with the mask of unequal lengths.

        Args:
            waveform: mono at `sample_rate_hz`, padded at the end.
            n_samples: the true length of each clip; None when none is padded.
        """
        return self.hear(waveform, n_samples)

    def hear(self, waveform: Float[Tensor, "batch time"], n_samples: Int[Tensor, " batch"] | None = None) -> Frames:
        """As `frontend`, and with gradients, for a frontend that is trained."""
        if n_samples is None or bool((n_samples == waveform.shape[1]).all()):
            return Frames(self.extract(waveform))
        lengths = [int(n) for n in n_samples]
        rows_of = {length: [row for row, n in enumerate(lengths) if n == length] for length in sorted(set(lengths))}
        found = {length: self.extract(waveform[rows, :length]) for length, rows in rows_of.items()}
        longest = found[max(lengths)]
        x = longest.new_zeros(len(lengths), *longest.shape[1:])
        mask = torch.zeros(x.shape[:2], dtype=torch.bool, device=waveform.device)
        for length, rows in rows_of.items():
            x[rows, : found[length].shape[1]] = found[length]
            mask[rows, : found[length].shape[1]] = True
        return Frames(x, None if bool(mask.all()) else mask)

    def encode(self, frames: Frames, known: Mapping[int, Tensor] | None = None, stop: int | None = None) -> States:
        """Hidden states from what the frontend gave, or from a hidden state on.

        Args:
            frames: the frontend's output; with `known`, only its mask is read.
            known: hidden states computed before; the encoder goes on behind the highest of them.
            stop: the last hidden state wanted, as `known` takes them; None for all, as `told` gives them.

        Returns:
            Hidden states 0 to n_layers (or `stop`), [batch frame dim] (up to `stop`: packed); those that are neither
            known nor computed are None. Prompts are cut off.
        """
        x, mask = frames
        states: list[Any] = [None] * (self.n_layers + 1)
        n_prompt, start = 0, 0
        if known:
            start = max(known)
            for number, state in known.items():
                states[number] = state
            x = known[start]
        n_frames = x.shape[1]
        x, mask = self.unpack(Frames(x, mask))
        if not known:
            x, mask, n_prompt = self.tokens(x, mask, n_prompt)
            x = self.embed(x, mask)
            states[0] = self.pack(x[:, n_prompt:])[:, :n_frames]
        for number in range(start + 1, (self.n_layers if stop is None else stop) + 1):
            x = self.layers[number - 1](x, mask, n_prompt)
            own = (self.finish(x) if number == self.n_layers else x)[:, n_prompt:]
            states[number] = self.pack(own)[:, :n_frames]
        return self.told(states, frames.mask) if stop is None else states[: stop + 1]

    def told(self, states: States, mask: Tensor | None = None) -> States:
        """All hidden states as heads read them, behind what is attached at `states`."""
        return self.states([state if state is None else self.narrow(state) for state in states], mask)[0]

    def same_state(self, number: int) -> int:
        """The number a state is stored under: -1, the frontend's output, is state 0 where nothing lies between."""
        return max(number, 0) if not self.embeds else number

    def forward(self, waveform: Float[Tensor, "batch time"], n_samples: Tensor | None = None) -> States:
        """All hidden states of a batch of waveforms."""
        return self.encode(self.frontend(waveform, n_samples))

    def share(self, top: int | None = None) -> Backbone:
        """The same network once more, with nothing attached: modules of its own around the same weights and buffers.

        What is attached to one, and the mode of its modules, does not touch the other. Weights that are merged into
        this one are merged in both.

        Args:
            top: the highest hidden state that will be read of it; None for the last.
        """
        twin = twin_of(self, {})
        twin.attached, twin.merges, twin._top = [], [], top
        return twin

    def freeze(self) -> Backbone:
        """Evaluation mode, no gradients: how a backbone is used everywhere but in full fine-tuning."""
        return self.eval().requires_grad_(False)

    def fingerprint(self) -> str:
        """A hash of all that decides the states: two backbones with the same one give the same answers."""
        tensors = sorted(self.state_dict().items())

        def parts() -> Iterator[tuple[str, np.ndarray]]:
            yield f"{self.name} {self.version} {self.states_depend_on}".rstrip(), np.zeros(0, np.uint8)
            for name, value in tensors:
                data = value.cpu().contiguous().reshape(-1).view(torch.uint8).numpy()  # no copy in the usual case
                yield f"{name} {tuple(value.shape)} {value.dtype}", data

        return fingerprint(parts, sum(value.nbytes for _, value in tensors))
