"""One clip from beginning to end: choose a window, arrange, synthesise, mix, and write down what is heard.

`plan_clip` draws everything that decides the labels and is cheap; `record_clip` makes the sound. Both are
functions of the request alone (its seed included), so a clip is the same whichever process makes it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .arrange import CYMBALS_CHANNEL, SKINS_CHANNEL, Arrangement, arrange
from .drums import CYMBALS
from .instruments import Palette
from .mix import mix
from .pieces import Piece, key_margin, key_name
from .sources import COLLECTIONS
from .synth import Event, Voice

CLIP_S = 10.0
LEAD_S = 2.0  # rendered before the clip and cut off, so that notes are already sounding when it begins
# How well a clip's notes fit its key against the best of the other 23 (difference of correlations). Excerpts of
# real music often leave the key open, clean tunes hardly ever: so every other clip is taken from where its key
# is least obvious.
KEY_MARGIN = -0.03
OPEN_MARGIN = 0.10
MODULATES = -0.12  # a clip of a chorale counts as modulating when they fit another key so much better


class Unsuitable(ValueError):
    """This window of this piece cannot carry the label that was asked for."""


@dataclass(frozen=True)
class Request:
    """What a clip shall be.

    Attributes:
        id: its name.
        split: train, validation or test.
        group: the group of its piece.
        piece: what is played.
        palette: the sounds.
        tempo_bpm: felt beats per minute.
        tonic: pitch class it is transposed to.
        keyed: True for a clip with a key label, False for one that has none.
        seed: numbers that decide everything else.
        open: take a window whose notes leave the key rather open.
    """

    id: str
    split: str
    group: str
    piece: Piece
    palette: Palette
    tempo_bpm: float
    tonic: int
    keyed: bool
    seed: tuple[int, ...]
    open: bool = False


def plan_clip(request):
    """Return (arrangement, start in quarters) for a request.

    Raises:
        Unsuitable: the window's notes do not fit (or, without key, fit too well) the key of the piece.
    """
    piece, rng = request.piece, np.random.default_rng([*request.seed, 1])
    quarters_per_s = request.tempo_bpm / 60 * piece.beat_q
    start_q = float(rng.uniform(0, piece.length_q))
    shift = (request.tonic - piece.tonic + 6) % 12 - 6
    lead_q = LEAD_S * quarters_per_s
    # Never before the piece's beginning: a lap further on is the same music.
    first_q = start_q - lead_q + piece.length_q * float(np.ceil(lead_q / piece.length_q))
    arrangement = arrange(piece, request.palette, first_q, first_q + lead_q + CLIP_S * quarters_per_s, shift, rng)
    plain = piece.mode in ("major", "minor")
    margin = key_margin(arrangement.pitch_weights, request.tonic, piece.mode) if plain else -1.0
    if request.keyed and margin < KEY_MARGIN:
        raise Unsuitable(f"{request.id}: {piece.id} does not sound in its key here")
    if request.open and margin > OPEN_MARGIN:
        raise Unsuitable(f"{request.id}: {piece.id} is too clear about its key here")
    if not request.keyed and margin > MODULATES:
        raise Unsuitable(f"{request.id}: {piece.id} does not modulate here")
    return arrangement, first_q + lead_q


def record_clip(request, synth):
    """Return (mono audio at `CLIP_RATE_HZ`, labels) of a request.

    Args:
        request: what the clip shall be.
        synth: a `Synth` with the soundfont of the split.
    """
    arrangement, start_q = plan_clip(request)
    rng = np.random.default_rng([*request.seed, 2])
    quarter_s = 60 / (request.tempo_bpm * request.piece.beat_q)
    voices, events = _score(arrangement, quarter_s, rng)
    stereo = synth.render(voices, events, LEAD_S + CLIP_S + 0.1)
    audio = mix(stereo, rng, LEAD_S, CLIP_S)
    return audio, labels(request, arrangement, start_q)


def _score(arrangement: Arrangement, quarter_s, rng):
    """Turn parts into channels and events in seconds, slightly out of tune and out of time."""
    tuning_cents = rng.uniform(-30, 30)
    voices, events = [], []
    channels = [c for c in range(32) if c not in (SKINS_CHANNEL, CYMBALS_CHANNEL)]
    for channel, part in zip(channels, arrangement.parts, strict=False):
        voices.append(Voice(channel, 0, part.program, part.volume, part.pan, tuning_cents + rng.normal(0, 4)))
        for onset_q, duration_q, pitch, velocity in part.notes:
            onset_s = onset_q * quarter_s + rng.normal(0, 0.005)
            events.append(Event(onset_s, "on", channel, pitch, velocity))
            events.append(Event(onset_s + max(duration_q * quarter_s, 0.05), "off", channel, pitch))
    if arrangement.kit:
        volume = int(rng.integers(84, 128))
        for channel, kit in zip((SKINS_CHANNEL, CYMBALS_CHANNEL), arrangement.kit, strict=True):
            voices.append(Voice(channel, 128, kit, volume))
        for hit in arrangement.hits:
            channel = CYMBALS_CHANNEL if hit.drum in CYMBALS else SKINS_CHANNEL
            onset_s = hit.onset_q * quarter_s + rng.normal(0, 0.003)
            events.append(Event(onset_s, "on", channel, hit.drum, hit.velocity))
            events.append(Event(onset_s + 0.2, "off", channel, hit.drum))
    return voices, events


def labels(request, arrangement, start_q):
    """Return everything known about a clip, as one JSON object of `labels.jsonl`."""
    piece, quarter_s = request.piece, 60 / (request.tempo_bpm * request.piece.beat_q)
    beats, downbeats = _beats(piece, start_q, quarter_s)
    collection = COLLECTIONS[piece.source]
    return {
        "id": request.id,
        "split": request.split,
        "group": request.group,
        "duration_s": CLIP_S,
        "key": key_name(request.tonic, piece.mode) if request.keyed else None,
        "tempo": round(request.tempo_bpm, 2),
        "beat": {"beats": beats, "downbeats": downbeats, "meter": piece.beats_per_bar},
        "chord": _chords(arrangement.chords, quarter_s),
        "instruments": _sounding(arrangement, quarter_s),
        "source": piece.id,
        "title": piece.title,
        "licence": collection.licence,
    }


def _beats(piece, start_q, quarter_s):
    first, beats, downbeats = int(np.ceil(start_q / piece.beat_q - 1e-9)), [], []
    for index in range(first, first + 200):
        time_s = (index * piece.beat_q - start_q) * quarter_s
        if time_s >= CLIP_S:
            break
        beats.append(round(time_s, 4))
        if index % piece.beats_per_bar == 0:
            downbeats.append(round(time_s, 4))
    return beats, downbeats


def _chords(chords, quarter_s):
    """Return [start_s, end_s, label] in the clip, or None when a third of it or more is not explained."""
    found = []
    for chord in chords:
        low, high = (max(0.0, q * quarter_s - LEAD_S) for q in (chord.start_q, chord.end_q))
        if min(high, CLIP_S) - low > 1e-3:
            found.append([round(low, 4), round(min(high, CLIP_S), 4), chord.label()])
    unknown_s = sum(end - start for start, end, label in found if label == "X")
    return found if unknown_s < CLIP_S / 3 else None


def _sounding(arrangement, quarter_s):
    """Return the families heard for at least 0.3 s (drums: at least three strokes) in the clip."""
    heard_s: dict[str, float] = {}
    for part in arrangement.parts:
        for onset_q, duration_q, _, _ in part.notes:
            low, high = onset_q * quarter_s - LEAD_S, (onset_q + duration_q) * quarter_s - LEAD_S
            heard_s[part.family] = heard_s.get(part.family, 0.0) + max(0.0, min(high, CLIP_S) - max(low, 0.0))
    found = {family for family, seconds in heard_s.items() if seconds >= 0.3}
    if sum(LEAD_S <= hit.onset_q * quarter_s < LEAD_S + CLIP_S for hit in arrangement.hits) >= 3:
        found.add("drums")
    return sorted(found)
