"""From sound to answers with loaded adapters."""

from __future__ import annotations

from sordino.inference.cuts import Sound, Wave
from sordino.inference.predictor import Member, Predictor, predict

__all__ = ["Member", "Predictor", "Sound", "Wave", "predict"]
