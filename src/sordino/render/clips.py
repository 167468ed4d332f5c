"""One clip from beginning to end: make its chart, arrange, synthesise, mix, and write down what is heard.

A clip is a function of the request alone (its seed included), so it is the same whichever process makes it.
"""

from __future__ import annotations

import numpy as np

from .band.arrange import arrange
from .band.chart import Performance
from .band.drums import KICK, SKINS
from .band.timing import humanise
from .charts import CLIP_S, LEAD_S, RENDERED_S, Request, make_chart
from .scores.pieces import key_name
from .scores.songs import Song
from .scores.sources import licence_of
from .song_band import perform
from .sound import drum_machine, engines
from .sound.mix import finish, mix, to_buses
from .sound.palettes import KINDS, PALETTES
from .sound.synth import BUSES, N_CHANNELS, Event, Voice


def plan_clip(request: Request) -> tuple[Performance, float]:
    """Return what is played for a request, and the second of it at which the rendering begins.

    Raises:
        Unsuitable: the music cannot carry the labels that were asked for.
    """
    rng = np.random.default_rng([*request.seed, 1])
    if isinstance(request.piece, Song):
        performance = perform(request, rng)
    else:
        performance = arrange(make_chart(request, rng), PALETTES[request.palette], rng)
    first_bar_s = performance.clock.seconds(np.array(performance.downbeats_q[:2]))
    return performance, float(rng.uniform(*first_bar_s))


def record_clip(request, synth):
    """Return (mono audio at `engines.RATE_HZ`, labels) of a request.

    Args:
        request: what the clip shall be.
        synth: a `Synth` with the soundfonts of the palette.
    """
    performance, begin_s = plan_clip(request)
    rng = np.random.default_rng([*request.seed, 2])
    score = _Score(performance, begin_s, rng)
    buses = to_buses(synth.render(score.voices, score.events, RENDERED_S), rng)
    n_samples = len(buses["keys"])
    for part, notes in score.patched:
        played = engines.play(part.sound.patch, notes, n_samples, rng)
        level = part.volume / 100 * 0.3 / (np.abs(played).max() + 1e-6)  # as loud as a soundfont's
        buses[KINDS[part.sound.kind].bus] = buses[KINDS[part.sound.kind].bus] + level * played
    if performance.kit and performance.kit.machine:
        machine = drum_machine.play(performance.kit.machine, score.struck, n_samples, rng)
        buses["drums"] = buses["drums"] + 0.5 * machine
    kicks_s = [onset_s for onset_s, drum, _ in score.struck if drum == KICK]
    drives = [KINDS[part.sound.kind].drive for part in performance.parts]
    beat_s = float(np.median(np.diff(performance.clock.seconds(np.array(performance.beats_q)))))
    audio = mix(buses, kicks_s, max(drives, default=0.0), beat_s, request.style.record, rng)
    return finish(audio, LEAD_S, CLIP_S, request.style.record, rng), labels(request, performance, begin_s)


class _Score:
    """Parts as channels and events in seconds, slightly out of tune and out of time.

    Attributes:
        voices, events: for the soundfont synthesiser.
        patched: (part, notes) for our own engines.
        struck: (onset_s, drum, velocity).
    """

    def __init__(self, performance, begin_s, rng):
        # Most recordings are near 440 Hz; some are anywhere.
        tuning_cents = rng.normal(0, 6) if rng.random() < 0.65 else rng.uniform(-50, 50)
        self.voices, self.events, self.patched, self.struck = [], [], [], []
        self._free = {bus: iter(range(index, N_CHANNELS, len(BUSES))) for index, bus in enumerate(BUSES)}
        clock = performance.clock
        for part in performance.parts:
            cents = tuning_cents + rng.normal(0, 5)
            late_s = 0.004 if part.role == "bass" else 0.0
            onsets_q, lengths_q, pitches, velocities = (
                np.array(column, dtype=float) for column in zip(*part.notes, strict=True)
            )
            onsets_s = humanise(clock.seconds(onsets_q) - begin_s, performance.steadiness, rng, late_s)
            lengths_s = np.maximum(clock.seconds(onsets_q + lengths_q) - clock.seconds(onsets_q), 0.05)
            keep = (onsets_s + lengths_s > 0) & (onsets_s > -0.5) & (onsets_s < 13)
            rows = zip(
                onsets_s[keep], lengths_s[keep], pitches[keep].astype(int), velocities[keep].astype(int), strict=True
            )
            self._place(part, list(rows), cents)
        self._drums(performance, begin_s, rng)

    def _place(self, part, notes, cents):
        if not part.sound.font:
            notes = sorted(notes)
            self.patched.append((part, [(max(o, 0.0), d, p + cents / 100, v) for o, d, p, v in notes]))
            return
        channel = next(self._free[KINDS[part.sound.kind].bus])
        self.voices.append(Voice(channel, part.sound.font, 0, part.sound.program, part.volume, part.pan, cents))
        for onset_s, length_s, pitch, velocity in notes:
            self.events.append(Event(onset_s, "on", channel, int(pitch), int(velocity)))
            self.events.append(Event(onset_s + length_s, "off", channel, int(pitch)))

    def _drums(self, performance, begin_s, rng):
        kit = performance.kit
        if kit is None or not performance.hits:
            return
        onsets_s = performance.clock.seconds([hit.onset_q for hit in performance.hits]) - begin_s
        onsets_s = humanise(onsets_s, performance.steadiness, rng)
        self.struck = [
            (float(onset_s), hit.drum, hit.velocity)
            for onset_s, hit in zip(onsets_s, performance.hits, strict=True)
            if -0.3 < onset_s < 13
        ]
        if kit.machine:
            return
        volume = int(rng.integers(90, 122))
        skins, cymbals = next(self._free["drums"]), next(self._free["drums"])
        self.voices.append(Voice(skins, kit.skins_font or kit.font, 128, kit.skins, volume))
        self.voices.append(Voice(cymbals, kit.font, 128, kit.cymbals, volume))
        for onset_s, drum, velocity in self.struck:
            channel = skins if drum in SKINS else cymbals
            self.events.append(Event(onset_s, "on", channel, drum, velocity))
            self.events.append(Event(onset_s + 0.2, "off", channel, drum))


def labels(request, performance, begin_s):
    """Return everything known about a clip, as one JSON object of `labels.jsonl`."""
    shift_s = begin_s + LEAD_S
    clock = performance.clock
    beats, downbeats = (
        [round(float(t), 4) for t in clock.seconds(np.array(q)) - shift_s if 0 <= t < CLIP_S]
        for q in (performance.beats_q, performance.downbeats_q)
    )
    return {
        "id": request.id,
        "split": request.split,
        "group": request.group,
        "duration_s": CLIP_S,
        "key": key_name(request.tonic, request.mode) if request.keyed else None,
        "tempo": round(60 / float(np.median(np.diff(beats))), 2),
        "beat": {"beats": beats, "downbeats": downbeats, "meter": performance.beats_per_bar},
        "chord": _chords(performance, shift_s),
        "instruments": _sounding(performance, shift_s),
        "style": request.style.name,
        "sounds": sorted(
            {part.sound.name for part in performance.parts} | ({performance.kit.name} if performance.kit else set())
        ),
        "source": request.piece.id if request.piece else request.group,
        "title": request.piece.title if request.piece else f"{request.style.name} of sordino's own",
        "licence": licence_of(request.piece),
    }


def _chords(performance, shift_s):
    """Return [start_s, end_s, label] in the clip, or None when a third of it or more is not explained."""
    if performance.chords is None:
        return None
    bounds_q = np.array([chord.start_q for chord in performance.chords] + [performance.chords[-1].end_q])
    bounds_s = performance.clock.seconds(bounds_q) - shift_s
    found = []
    for chord, low, high in zip(performance.chords, bounds_s[:-1], bounds_s[1:], strict=True):
        low, high = max(0.0, float(low)), min(float(high), CLIP_S)
        if high - low > 1e-3:
            if found and found[-1][2] == chord.label():
                low = found.pop()[0]
            found.append([round(low, 4), round(high, 4), chord.label()])
    unknown_s = sum(end - start for start, end, label in found if label == "X")
    return found if unknown_s < CLIP_S / 3 else None


def _sounding(performance, shift_s):
    """Return the families heard for at least 0.3 s (drums: at least three strokes) in the clip."""
    heard_s: dict[str, float] = {}
    for part in performance.parts:
        family = KINDS[part.sound.kind].family
        onsets_q, lengths_q = (np.array([note[i] for note in part.notes]) for i in (0, 1))
        starts, ends = (performance.clock.seconds(q) - shift_s for q in (onsets_q, onsets_q + lengths_q))
        inside = np.clip(ends, 0, CLIP_S) - np.clip(starts, 0, CLIP_S)
        heard_s[family] = heard_s.get(family, 0.0) + float(inside.sum())
    found = {family for family, seconds in heard_s.items() if seconds >= 0.3}
    struck_s = performance.clock.seconds([hit.onset_q for hit in performance.hits]) - shift_s
    if sum((struck_s >= 0) & (struck_s < CLIP_S)) >= 3:
        found.add("drums")
    return sorted(found)
