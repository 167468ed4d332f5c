"""Styles of music: metre, tempo, feel, what is played and by whom, and how often a style is heard.

The beat is the level that listeners tap and that annotators of public collections write down. Where two levels
are arguable: drum'n'bass 165 to 178 and jungle as its DJs count (GiantSteps' Beatport does), trap and dubstep about
140 (the same source) with a half-time snare, hip-hop and R&B 75 to 105 (GTZAN), one-drop reggae 65 to 90 with
the skank between the beats (most of GTZAN's reggae), jigs and 12/8 in dotted quarters, reels in half notes,
punk and metal at the level of the snare's backbeat (140 to 190), salsa in half notes, bossa nova in quarters.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Style:
    """One style.

    Attributes:
        name: of the style, as in the labels.
        weight: how often it is heard.
        meter: beats per bar, and quarter notes per beat (1.5 in compound metre).
        tempo_bpm: most likely tempo, spread (standard deviation of its logarithm), lowest, highest.
        minor: share of minor keys.
        swing: None, or what is swung ("8" halves of the beat, "16" halves of the half beat), lowest and highest ratio.
        time: a name in `timing.STEADINESS`.
        harmony: a kind of `progressions.PROGRESSIONS`.
        colour: how likely triads get sevenths and the like.
        grooves: names in `grooves.GROOVES`; none for music without drums.
        kits: kinds of `palettes.KITS`.
        drums: how likely there are drums at all.
        bass: figures of `lines.BASS`, and kinds of sound.
        chords: figures of `lines.CHORDS`, each with the kinds of sound that may play it; one or two are chosen.
        pads: kinds of sound that may hold the chords.
        leads: kinds of sound that may carry a melody.
        tunes: how likely a tune from the books is played instead of a new melody.
        riffs: how likely a riff is played.
        record: a kind of `master.RECORDS`.
    """

    name: str
    weight: float
    meter: tuple[int, float]
    tempo_bpm: tuple[float, float, float, float]
    minor: float
    time: str
    harmony: str
    grooves: tuple[str, ...]
    kits: tuple[str, ...]
    bass: tuple[tuple[str, ...], tuple[str, ...]]
    chords: tuple[tuple[str, tuple[str, ...]], ...]
    leads: tuple[str, ...]
    pads: tuple[str, ...] = ()
    swing: tuple[str, float, float] | None = None
    colour: float = 0.1
    drums: float = 0.95
    tunes: float = 0.1
    riffs: float = 0.2
    record: str = "band"

    def draw_tempo(self, rng) -> float:
        """Draw a tempo in BPM from the style's log-normal distribution, cut at its ends."""
        mode, spread, low, high = self.tempo_bpm
        while True:
            tempo_bpm = float(mode * np.exp(rng.normal(0, spread)))
            if low <= tempo_bpm <= high:
                return round(tempo_bpm, 2)
