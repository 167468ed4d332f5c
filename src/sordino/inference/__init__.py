"""From sound to answers with loaded adapters."""

from __future__ import annotations

from sordino.inference.cuts import Sound, Wave
from sordino.inference.predictor import Predictor, predict

__all__ = ["Predictor", "Sound", "Wave", "predict"]
