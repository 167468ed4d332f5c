"""READ FIRST: the four nouns of sordino and what passes between them.

A **backbone** turns a waveform into hidden states and names sites. A **method** attaches parts at sites. A **task** turns
labels into targets and outputs into answers and scores. A **dataset** says where tracks, labels and splits come from.
A `Model` (model.py) is backbone + attachments + heads. Each noun has a folder; one file there is one backbone, method,
task or dataset, found by its file name (registry.py) and held to the contract tests.

Axes in annotations: batch, time (samples), frame, layer, dim, head, token, mel, label.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from sordino.sites import Attachment, Part, Site, Tap, parse_layers

__all__ = ["Attachment", "Backbone", "Batch", "Dataset", "Evaluation", "Frames", "Label", "Method",
           "Observation", "Part", "Prediction", "Site", "Tap", "Task", "Track", "parse_layers"]  # fmt: skip

Label = Any  # what a task's `parse` returns: plain, JSON-able data
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
    """A network from waveform to hidden states. A subclass sets the attributes, `layers`, and three small functions.

    Hidden state 0 is what enters layer 1, hidden state k what leaves layer k; the last one has passed the final norm.
    The frontend stays frozen and runs clip by clip where lengths differ, so padding in a batch never reaches it.

    Attributes:
        name: the file's name, the name in every config and table.
        sample_rate_hz: the rate of the waveforms it wants, mono, float, full scale +-1.
        hop_samples: samples from one frame to the next.
        dim: the width of a hidden state.
        layers: the encoder's layers; each is called as `layer(x, mask)` and begins with its own tap `tokens`.
        weights: where the weights come from, one line: `random (seed 0)`, a file, a published name.
        licence: the weights' licence, as an SPDX identifier where there is one.
    """

    name: ClassVar[str]
    title: ClassVar[str] = ""
    paper: ClassVar[str] = ""
    licence: ClassVar[str] = ""
    sample_rate_hz: int = 24_000
    hop_samples: int
    dim: int
    weights: str = "random"
    layers: nn.ModuleList

    def __init__(self) -> None:
        super().__init__()
        self.tokens = Tap()
        self.states = Tap()

    @classmethod
    @abstractmethod
    def load(cls, weights: str | Path | None = None, depth: int | None = None, **options: Any) -> Backbone:
        """Build it with its weights.

        Args:
            weights: None for the published or built-in ones, `random` or `random:SEED` for none, or a path.
            depth: how many layers to build; None for all.
            **options: what this backbone offers beside.

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
        return "random or built in"

    @abstractmethod
    def n_frames(self, n_samples: int) -> int:
        """How many frames a clip of `n_samples` gives (at least 1)."""

    @abstractmethod
    def extract(self, waveform: Float[Tensor, "batch time"]) -> Float[Tensor, "batch frame dim"]:
        """The frozen frontend for clips of one length: what enters the encoder."""

    def embed(self, x: Float[Tensor, "batch frame dim"], mask: Tensor | None) -> Tensor:
        """Positions and whatever else comes before layer 1 and behind the prompts."""
        return x

    def finish(self, x: Float[Tensor, "batch frame dim"]) -> Tensor:
        """The final norm behind the last built layer."""
        return x

    @abstractmethod
    def layer_sites(self, layer: int) -> list[Site]:
        """The sites inside layer `layer` (from 1)."""

    @property
    def n_layers(self) -> int:
        """How many layers are built."""
        return len(self.layers)

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
        if n_samples is None or bool((n_samples == waveform.shape[1]).all()):
            return Frames(self.extract(waveform))
        lengths = [int(n) for n in n_samples]
        n_frames = [self.n_frames(n) for n in lengths]
        x, mask = None, torch.zeros(len(lengths), max(n_frames), dtype=torch.bool, device=waveform.device)
        for length in sorted(set(lengths)):
            rows = [row for row, n in enumerate(lengths) if n == length]
            part = self.extract(waveform[rows, :length])
            if x is None:
                x = part.new_zeros(len(lengths), max(n_frames), part.shape[2])
            x[rows, : part.shape[1]] = part
            mask[rows, : part.shape[1]] = True
        return Frames(x, None if bool(mask.all()) else mask)

    def encode(
        self, frames: Frames, known: Mapping[int, Tensor] | None = None, stop: int | None = None
    ) -> States:
        """Hidden states from what the frontend gave, or from a hidden state on.

        Args:
            frames: the frontend's output; with `known`, only its mask is read.
            known: hidden states computed before; the encoder goes on behind the highest of them.
            stop: the last hidden state wanted (what is attached at `states` then waits); None for all.

        Returns:
            Hidden states 0 to n_layers (or `stop`), [batch frame dim]; those that are neither known nor computed are
            None. Prompts are cut off.
        """
        x, mask = frames
        states: list[Any] = [None] * (self.n_layers + 1)
        n_prompt, start = 0, 0
        if known:
            start = max(known)
            for number, state in known.items():
                states[number] = state
            x = known[start]
        else:
            x, mask, n_prompt = self.tokens(x, mask, n_prompt)
            x = self.embed(x, mask)
            states[0] = x[:, n_prompt:]
        for number in range(start + 1, (self.n_layers if stop is None else stop) + 1):
            x = self.layers[number - 1](x, mask, n_prompt)
            states[number] = (self.finish(x) if number == self.n_layers else x)[:, n_prompt:]
        return self.states(states, frames.mask)[0] if stop is None else states[: stop + 1]

    def forward(self, waveform: Float[Tensor, "batch time"], n_samples: Tensor | None = None) -> States:
        """All hidden states of a batch of waveforms."""
        return self.encode(self.frontend(waveform, n_samples))

    def freeze(self) -> Backbone:
        """Evaluation mode, no gradients: how a backbone is used everywhere but in full fine-tuning."""
        return self.eval().requires_grad_(False)

    def fingerprint(self) -> str:
        """A hash of all weights and buffers: two backbones with the same one give the same answers."""
        digest = hashlib.sha256()
        for name, value in sorted(self.state_dict().items()):
            digest.update(f"{name} {tuple(value.shape)} {value.dtype}".encode())
            digest.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
        return digest.hexdigest()[:16]


@dataclass(kw_only=True)
class Method(ABC):
    """What is attached at which sites and what is trained. A subclass is a dataclass: its fields are its options.

    Attributes:
        layers: the layers it is attached to: `all`, `4-6`, `1,3` (from 1).
    """

    name: ClassVar[str]
    title: ClassVar[str]
    paper: ClassVar[str]
    year: ClassVar[int]
    roles: ClassVar[tuple[str, ...]] = ()  # the roles it may be attached at; an instance may choose fewer
    mergeable: ClassVar[bool] = False  # the trained part can be written into the backbone's weights
    identity: ClassVar[bool] = True  # before training, the model answers as the bare backbone does
    through_backbone: ClassVar[bool] = True  # training needs gradients through the backbone
    trains_backbone: ClassVar[bool] = False  # trains the backbone's own weights; the model then works on a copy
    head: ClassVar[Mapping[str, Any]] = {}  # defaults for the head, where the method wants other than the usual ones
    learning_rate: ClassVar[float] = 1e-4  # the usual one, when a config names none

    layers: str = "all"

    def choose(self, backbone: Backbone, roles: Sequence[str]) -> list[Site]:
        """The backbone's sites of these roles in the chosen layers (`tokens` and `states` belong to none).

        Raises:
            ValueError: a role matches nothing on this backbone.
        """
        chosen = {0, *parse_layers(self.layers, backbone.n_layers), backbone.n_layers + 1}
        found = [site for site in backbone.sites() if site.layer in chosen and site.role in roles]
        missing = [role for role in roles if role not in {site.role for site in found}]
        if missing:
            known = sorted({site.role for site in backbone.sites()})
            raise ValueError(f"{self.name}: role {missing[0]} matches nothing on {backbone.name}; it has {known}")
        return found

    @abstractmethod
    def parts(self, backbone: Backbone) -> list[tuple[Site, Part]]:
        """New parts for the sites it uses (random parts draw from torch's global generator)."""

    @abstractmethod
    def n_parameters(self, backbone: Backbone) -> int:
        """How many parameters are trained, by the method's own formula (the head not counted)."""

    def attach(self, backbone: Backbone) -> Attachment:
        """Attach new parts to the backbone and give back the sidecar."""
        return Attachment(backbone, self.parts(backbone))

    def unfrozen(self, backbone: Backbone) -> list[str]:
        """Names of the backbone's own parameters that are trained (only with `trains_backbone`)."""
        return []

    def parameter_groups(self, model: Any, lr: float) -> list[dict[str, Any]]:
        """Groups for the optimiser of what this method trains in `model`; one group with rate `lr` by default."""
        trained = [p for p in model.attachment_parameters(self) if p.requires_grad]
        return [{"params": trained, "lr": lr}] if trained else []

    def options(self) -> dict[str, Any]:
        """The options as they are written into configs and adapter files."""
        return {item.name: getattr(self, item.name) for item in fields(self)}


@dataclass(frozen=True)
class Track:
    """One recording, or a stretch of one, with what is known about it.

    Attributes:
        id: unique within the dataset, the same on every machine.
        path: the sound file.
        labels: raw labels by name (`key`, `tempo`, `beat`, `chord`, `instruments`, ...); absent or None: not labelled.
        split: `train`, `validation` or `test`.
        group: what must not be torn across splits (a piece, an artist, an album); the id when there is none.
        start_s: where the stretch begins.
        duration_s: how long it is; None: to the end of the file.
        info: whatever else a dataset says (licence, artist, title).
    """

    id: str
    path: Path
    labels: Mapping[str, Any]
    split: Literal["train", "validation", "test"] = "train"
    group: str = ""
    start_s: float = 0.0
    duration_s: float | None = None
    info: Mapping[str, Any] = field(default_factory=dict)

    def with_split(self, split: Literal["train", "validation", "test"]) -> Track:
        """The same track in another split."""
        return replace(self, split=split)


class Dataset(ABC):
    """Where tracks, labels and splits come from. One file in `datasets/` is one corpus.

    Attributes:
        labels: the names of labels its tracks carry; a task is possible when its `label` is among them.
        licence: of the audio and the labels, in words a user can act on.
        size: tracks and hours as published, for lists: `(n_tracks, hours)`.
        builtin: the audio ships with the package.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    labels: ClassVar[tuple[str, ...]]
    licence: ClassVar[str]
    citation: ClassVar[str] = ""
    url: ClassVar[str] = ""
    size: ClassVar[tuple[int, float]] = (0, 0.0)
    splits: ClassVar[str] = ""  # where the split comes from, one line
    builtin: ClassVar[bool] = False

    def __init__(self, root: str | Path | None = None):
        """Take the corpus at `root` (None: `$SORDINO_DATA/<name>`, else `~/.cache/sordino/data/<name>`)."""
        self.root = Path(root) if root is not None else self.default_root()

    @classmethod
    def default_root(cls) -> Path:
        """Where the corpus is looked for when no root is given."""
        import os

        return Path(os.environ.get("SORDINO_DATA") or Path.home() / ".cache" / "sordino" / "data") / cls.name

    @abstractmethod
    def tracks(self) -> list[Track]:
        """All tracks, in an order that is the same on every machine.

        Raises:
            FileNotFoundError: the corpus is not at `root`; says what is expected there and how to get it.
        """

    def available(self) -> bool:
        """Whether the corpus is on this machine."""
        return self.root.is_dir()

    @classmethod
    def miniature(cls, root: Path) -> None:
        """Write a few files with the true names and formats below `root`; the contract tests read the corpus so."""
        raise NotImplementedError(f"{cls.name}: write a classmethod miniature(root), as datasets/ballroom.py has one")


@dataclass
class Batch:
    """What a training or evaluation step sees.

    Attributes:
        waveform: [batch time], mono at the backbone's rate, padded at the end.
        n_samples: [batch], the true lengths.
        targets: by task, [batch label] (clip) or [batch frame label] (frame); rows without a label are zero.
        present: by task, [batch], whether the track has a label for it.
        ids: the tracks' ids.
    """

    waveform: Float[Tensor, "batch time"]
    n_samples: Int[Tensor, " batch"]
    targets: dict[str, Tensor]
    present: dict[str, Bool[Tensor, " batch"]]
    ids: list[str]


@dataclass
class Prediction:
    """A task's answer for one recording.

    Attributes:
        value: in the form of a parsed label, JSON-able: "A minor", 120.5, {"beats": [...], "downbeats": [...]}.
        confidence: 0 to 1, or None where the task has no single one.
        details: what else is worth telling (alternatives, per-tag probabilities), JSON-able.
    """

    value: Label
    confidence: float | None = None
    details: dict[str, Any] = field(default_factory=dict)


class Observation(NamedTuple):
    """One thing said about a stretch of a recording: a row of a CSV file, an observation of a JAMS file."""

    start_s: float
    duration_s: float
    value: Any
    confidence: float | None


@dataclass
class Evaluation:
    """Scores of one task on a list of tracks.

    Attributes:
        metrics: name to value, the task's `metric` among them.
        per_track: one dict per track, in the order of the tracks.
        notes: what a reader must know of these numbers (undefined tags, conventions).
        tables: what is no single number (a confusion matrix, scores by tag), JSON-able.
    """

    metrics: dict[str, float]
    per_track: list[dict[str, float]]
    notes: list[str] = field(default_factory=list)
    tables: dict[str, Any] = field(default_factory=dict)


class Task(ABC):
    """Labels to targets, loss, outputs to answers, metrics. A subclass is a dataclass-like object with few options.

    Attributes:
        level: `clip` (one output per clip) or `frame` (one per frame).
        label: the name of the label it reads from a track (`labels` of tracks and datasets).
        metric: the metric that decides (higher is better), a key of `Evaluation.metrics`.
        segment_s: the usual length of a training crop and of an evaluation segment.
        examples: a few raw labels, all different, in forms that `parse` understands; shown to users and in tests.
        namespace: the JAMS namespace of its observations.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    level: ClassVar[Literal["clip", "frame"]]
    label: str
    metric: str
    segment_s: float = 10.0
    examples: ClassVar[tuple[Any, ...]]
    namespace: ClassVar[str] = "blob"

    @abstractmethod
    def parse(self, label: Any) -> Label:
        """A raw label in the task's one form; every usual spelling is understood.

        Raises:
            ValueError: it is not a label of this task; says what it is and what would be.
        """

    @property
    @abstractmethod
    def n_outputs(self) -> int:
        """Width of the head's output."""

    @abstractmethod
    def encode(self, label: Label, n_frames: int, frame_rate_hz: float, start_s: float = 0.0) -> Tensor:
        """The target of a crop that begins at `start_s`: [label], or [frame label] for a frame task."""

    @abstractmethod
    def loss(self, logits: Tensor, target: Tensor, mask: Tensor | None = None) -> Float[Tensor, ""]:
        """Mean loss over the clips or the real frames of a batch (rows without a label are left out before)."""

    @abstractmethod
    def probabilities(self, logits: Tensor) -> Tensor:
        """What is averaged when segments are joined: [... label], same shape as the logits."""

    @abstractmethod
    def decode(self, probabilities: np.ndarray, frame_rate_hz: float) -> Prediction:
        """The answer, from joined probabilities [label] or [frame label]."""

    @abstractmethod
    def score(self, reference: Label, estimated: Label) -> dict[str, float]:
        """Scores of one track; what is undefined is nan."""

    def score_prediction(self, reference: Label, prediction: Prediction) -> dict[str, float]:
        """Scores of one track; by default of the prediction's value alone."""
        return self.score(reference, prediction.value)

    def summarise(self, rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
        """Metrics from the scores of tracks; by default their means, nan left out."""
        names = list(rows[0]) if rows else [self.metric]
        table = {name: np.array([row[name] for row in rows], dtype=float) for name in names}
        return {name: float(np.nanmean(v)) if np.isfinite(v).any() else float("nan") for name, v in table.items()}

    def evaluate(self, references: Sequence[Label], predictions: Sequence[Prediction]) -> Evaluation:
        """Scores of a list of tracks; override it where a metric is no summary of the tracks' own scores."""
        rows = [self.score_prediction(r, p) for r, p in zip(references, predictions, strict=True)]
        metrics = self.summarise(rows)
        undefined = {name: sum(bool(np.isnan(row.get(name, 0.0))) for row in rows) for name in metrics}
        notes = [f"{name}: undefined for {n} of {len(rows)} tracks, left out" for name, n in undefined.items() if n]
        return Evaluation(metrics, rows, notes)

    def observations(self, prediction: Prediction, duration_s: float) -> list[Observation]:
        """The answer as rows with a time; by default one row for the whole recording."""
        return [Observation(0.0, duration_s, prediction.value, prediction.confidence)]

    def namespace_value(self, value: Any) -> Any:
        """An observation's value as the JAMS namespace spells it."""
        return value

    def fit(self, labels: Sequence[Label]) -> None:  # noqa: B027
        """Learn from the training labels what the task needs to know (class names, ranges); most need nothing."""

    def tune(self, probabilities: Sequence[np.ndarray], labels: Sequence[Label]) -> None:  # noqa: B027
        """Set what is decided after training (thresholds) from joined probabilities of the validation tracks."""

    def transpose(self, label: Label, semitones: int) -> Label:
        """The label after a pitch shift of the audio; unchanged unless pitch matters."""
        return label

    def stretch(self, label: Label, rate: float) -> Label:
        """The label after playing the audio `rate` times as fast; unchanged unless time matters."""
        return label

    def config(self) -> dict[str, Any]:
        """What `restore` needs, JSON-able: options and whatever `fit` learned."""
        return {}

    @classmethod
    def restore(cls, config: Mapping[str, Any]) -> Task:
        """A task from its `config`."""
        return cls(**config)

    @cached_property
    def plain_baseline(self) -> Any:
        """A function (waveform [time], sample_rate_hz) -> label without any learning, or None where there is none."""
        return None
