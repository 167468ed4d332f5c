"""Key: one of 24 major and minor keys, or none.

Paper: Parameter-Efficient Transfer Learning for Music Foundation Models, 2024, arXiv 2411.19371: 24
classes, weighted score.
Differs: a 25th class for "no key", which `no_key = false` leaves out as the paper does; the weighted score follows
mir_eval (the paper's public code gives the half point to fifths in both directions, which is
`weighted_score_descending` here and stands beside it in tables).

Conventions:
- A label is `C major` to `B minor`, or `none` (with `no_key = false` such a recording is not labelled).
  Tonics are written as the usual key signatures have them: Db not C# major, C# not Db minor, F# major, Eb
  minor.
- Understood beside it: `c#m`, `A:min`, `Ab`, `a` (a small letter alone is minor), `E-flat major`, `e-
  minor`, `♯ ♭`, German `fis-Moll`, `H-Dur`, `B-Dur`, Camelot `8A`, Open Key `1m`, and church modes, which
  count as major or minor by their third.
- Error classes name what was answered instead: `fifth` (a fifth above), `fifth_below`, `relative`,
  `parallel`, `other`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from sordino.contracts import PlainBaseline, Prediction, Task
from sordino.rules import Share
from sordino.tasks import _mir_eval as mir_eval
from sordino.tasks._cross_entropy import mean_cross_entropy

MAJOR = ("C", "Db", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
MINOR = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "G#", "A", "Bb", "B")
NO_KEY = "none"
KEYS = (*(f"{tonic} major" for tonic in MAJOR), *(f"{tonic} minor" for tonic in MINOR), NO_KEY)
ERRORS = ("fifth", "fifth_below", "relative", "parallel", "other")

LETTERS = {"c": 0, "d": 2, "e": 4, "f": 5, "g": 7, "a": 9, "b": 11}
ACCIDENTALS = {"#": 1, "♯": 1, "sharp": 1, "b": -1, "♭": -1, "flat": -1, "-": -1}
MODES = {
    **dict.fromkeys(("major", "maj", "ionian", "lydian", "mixolydian"), "major"),
    **dict.fromkeys(("minor", "min", "m", "aeolian", "dorian", "phrygian", "locrian"), "minor"),
    **dict.fromkeys(("harmonic minor", "melodic minor", "natural minor"), "minor"),
}
GERMAN = {"ces": 11, "c": 0, "cis": 1, "des": 1, "d": 2, "dis": 3, "es": 3, "e": 4,
          "eis": 5, "fes": 4, "f": 5, "fis": 6, "ges": 6, "g": 7, "gis": 8, "as": 8,
          "a": 9, "ais": 10, "b": 10, "h": 11, "his": 0}  # fmt: skip
SPELLING = re.compile(r"([a-gA-G])(?:[ -]?(sharp|flat)|([#♯]{1,2}|[b♭]{1,2}|-(?![a-z])))?[ :_-]*([a-zA-Z ]*)")


def key_name(tonic: int, mode: str) -> str:
    """The label of a tonic (semitones above C, any octave) and `major` or `minor`."""
    return f"{(MAJOR if mode == 'major' else MINOR)[tonic % 12]} {mode}"


def on_the_circle(key: str) -> tuple[int, bool] | None:
    """Where a key lies on the circle of fifths, steps clockwise from C major, and whether it is minor; None for none.

    A minor key stands with its relative major.
    """
    if key not in KEYS or key == NO_KEY:
        return None
    number = KEYS.index(key)
    return (number + (3 if number >= 12 else 0)) * 7 % 12, number >= 12


@dataclass
class Key(Task):
    """The key of a recording.

    Attributes:
        label_smoothing: share of the target that is spread over all classes.
        no_key: whether "no key" is a class of its own; if not, recordings without a key are left out.
    """

    name: ClassVar[str] = "key"
    title: ClassVar[str] = "Key: 24 major and minor keys, or none"
    level: ClassVar = "clip"
    label = "key"
    metric = "weighted_score"
    beside = ("weighted_score_descending",)
    segment_s = 30.0
    namespace = "key_mode"
    examples = ("A minor", "Db", "f#m", "E-flat major", "H-Dur", "8B", "none")

    label_smoothing: Share = 0.0
    no_key: bool = True

    def parse(self, label: Any) -> str:
        """Read any usual spelling of a key.

        Raises:
            ValueError: it is not a key.
        """
        text = str(label).strip()
        if label is None or text.lower() in ("", "n", "x", "-", "none", "no key", "nokey", "off", "silence"):
            return NO_KEY
        key = _parse_wheel(text) or _parse_german(text) or _parse_letter(text)
        if key is None:
            raise ValueError(f'key "{text}" is not a key; use C..B with # or b, and major or minor, or none')
        return key

    def admits(self, label: str) -> bool:
        """Whether there is a class for it."""
        return self.no_key or label != NO_KEY

    @property
    def n_outputs(self) -> int:
        """24 keys, and perhaps none."""
        return len(KEYS) if self.no_key else len(KEYS) - 1

    def encode(
        self, label: str, n_frames: int = 1, frame_rate_hz: float = 1.0, start_s: float = 0.0
    ) -> Float[Tensor, " label"]:
        """One at the key's class."""
        target = torch.zeros(self.n_outputs)
        target[KEYS.index(label)] = 1.0
        return target

    def loss(
        self, logits: Tensor, target: Tensor, mask: Tensor | None = None, counts: Tensor | None = None
    ) -> Float[Tensor, ""]:
        """Cross-entropy."""
        return mean_cross_entropy(logits, target, counts, self.label_smoothing)

    def probabilities(self, logits: Tensor) -> Tensor:
        """Softmax over the classes."""
        return logits.softmax(-1)

    def decode(self, probabilities: np.ndarray, frame_rate_hz: float = 1.0) -> Prediction:
        """The most probable key; all zero (nothing was heard) is no key."""
        if not np.any(probabilities > 0):
            return Prediction(NO_KEY, 0.0)
        best = np.argsort(-probabilities, kind="stable")
        ranking = {KEYS[index]: float(probabilities[index]) for index in best[:3]}
        return Prediction(KEYS[best[0]], float(probabilities[best[0]]), {"alternatives": ranking})

    def score(self, reference: str, estimated: str) -> dict[str, float]:
        """mir_eval's weighted score, the same with descending fifths, accuracy, error classes."""
        reference, estimated = (label if label != NO_KEY else "X" for label in (reference, estimated))
        weighted = mir_eval.key.weighted_score(reference, estimated)
        below = mir_eval.key.weighted_score(estimated, reference) == 0.5
        kind = {1.0: "correct", 0.5: "fifth", 0.3: "relative", 0.2: "parallel"}.get(weighted, "other")
        kind = "fifth_below" if below else kind
        return {
            "weighted_score": weighted,
            "weighted_score_descending": 0.5 if below else weighted,
            "accuracy": float(weighted == 1.0),
            **{error: float(kind == error) for error in ERRORS},
        }

    def namespace_value(self, value: str) -> str:
        """`A:minor`, or `N`."""
        return "N" if value == NO_KEY else value.replace(" ", ":")

    def transpose(self, label: str, semitones: int) -> str:
        """The key so many semitones higher."""
        if label == NO_KEY:
            return label
        tonic, mode = label.split()
        return key_name((MAJOR if mode == "major" else MINOR).index(tonic) + semitones, mode)

    def config(self) -> dict[str, Any]:
        """The options."""
        return {"label_smoothing": self.label_smoothing, "no_key": self.no_key}

    @property
    def plain_baseline(self) -> PlainBaseline:
        """Correlation of the mean chroma with key profiles."""
        return PlainBaseline("chroma template", self._match_profiles)

    def _match_profiles(self, waveform: np.ndarray, sample_rate_hz: int) -> Prediction:
        from sordino.baselines.chroma_template import rank_keys

        ranked = {self.parse(key): fit for key, fit in rank_keys(waveform, sample_rate_hz).items()}
        ranking = dict(list(ranked.items())[:3])
        return Prediction(next(iter(ranking), NO_KEY), None, {"alternatives": ranking} if ranking else {})


def _parse_letter(text: str) -> str | None:
    found = SPELLING.fullmatch(text)
    if found is None:
        return None
    letter, word, signs, mode = found.groups()
    mode = mode.strip()
    if mode == "M":
        kind = "major"
    elif mode:
        kind = MODES.get(mode.lower())
    else:
        kind = "minor" if letter.islower() else "major"
    accidental = ACCIDENTALS[word] if word else sum(ACCIDENTALS[sign] for sign in signs or "")
    return kind and key_name(LETTERS[letter.lower()] + accidental, kind)


def _parse_german(text: str) -> str | None:
    tonic, _, mode = text.lower().replace("-", " ").partition(" ")
    kind = {"dur": "major", "moll": "minor"}.get(mode.strip())
    return key_name(GERMAN[tonic], kind) if kind and tonic in GERMAN else None


def _parse_wheel(text: str) -> str | None:
    """Camelot (8B is C major, 8A its relative minor) and Open Key (1d, 1m): one step up is a fifth up."""
    found = re.fullmatch(r"(1[0-2]|[1-9])([abdm])", text.lower())
    if found is None:
        return None
    step = int(found[1]) - (8 if found[2] in "ab" else 1)
    return key_name(7 * step, "major") if found[2] in "bd" else key_name(9 + 7 * step, "minor")
