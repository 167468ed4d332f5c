"""Read four-part chorales from compressed MusicXML.

Only what those files need is understood: parts, measures, notes, rests, chords, ties, one metre. A chorale whose metre
changes, or whose measures do not add up, is left out. The upbeat is dropped, so that the piece begins on a downbeat.
"""

from __future__ import annotations

import zipfile
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

from .pieces import Note, Piece, key_margin, pitch_class_weights

_STEPS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}


class UnreadableChorale(ValueError):
    """The score is not four plain voices in one metre."""


def read_chorale(path, source):
    """Return one chorale.

    Args:
        path: a ``.mxl`` file.
        source: name of the collection.

    Raises:
        UnreadableChorale: not four voices, a change of metre, or measures that do not add up.
    """
    path = Path(path)
    with zipfile.ZipFile(path) as archive:
        name = next(name for name in archive.namelist() if name.endswith("xml") and "META-INF" not in name)
        root = ElementTree.fromstring(archive.read(name))
    parts = root.findall("part")
    if len(parts) != 4:
        raise UnreadableChorale(f"{len(parts)} parts")
    voices = [_read_part(part) for part in parts]
    starts, meters = {tuple(v[1]) for v in voices}, {v[2] for v in voices}
    if len(starts) != 1 or len(meters) != 1:
        raise UnreadableChorale("voices disagree about the measures")
    beats_per_bar, first_q, length_q = _check_measures(starts.pop(), meters.pop())
    notes = sorted(
        (
            Note(onset_q - first_q, duration_q, pitch, voice)
            for voice, (events, _, _) in enumerate(voices)
            for onset_q, duration_q, pitch in events
            if onset_q >= first_q
        ),
        key=lambda note: (note.onset_q, note.voice),
    )
    tonic, mode = sounding_key(notes)
    return Piece(
        id=f"{source}-{path.stem}",
        source=source,
        title=path.stem,
        tonic=tonic,
        mode=mode,
        beats_per_bar=beats_per_bar,
        beat_q=1.0,
        length_q=length_q,
        notes=tuple(notes),
        n_voices=4,
    )


def sounding_key(notes):
    """Return (tonic, mode) by ear rather than by print: the last bass note, with the mode that fits the whole better.

    The last chord is not asked for the mode, because minor chorales often end in major.
    """
    tonic = max((note for note in notes if note.voice == 3), key=lambda note: note.onset_q).pitch % 12
    weights = pitch_class_weights(notes)
    return tonic, max(("major", "minor"), key=lambda mode: key_margin(weights, tonic, mode))


def _check_measures(bounds, meter):
    """Return (beats per bar, where the first whole bar begins, length from there in whole bars)."""
    beats, beat_type = meter
    if beat_type != 4 or beats not in (3, 4):
        raise UnreadableChorale(f"metre {beats}/{beat_type}")
    lengths = [end - start for start, end in pairwise(bounds)]
    first_q = bounds[0] if lengths[0] == beats else bounds[1]
    whole, held_q = 0, 0.0
    for index, length_q in enumerate(lengths[0 if lengths[0] == beats else 1 :]):
        held_q += length_q
        if held_q > beats:
            raise UnreadableChorale(f"measure {index} does not fit")
        if held_q == beats:
            whole, held_q = whole + 1, 0.0
    return beats, first_q, float(beats * (whole + (held_q > 0)))


def _read_part(part):
    """Return ([(onset_q, duration_q, pitch)], measure bounds in quarters, (beats, beat type))."""
    events, bounds, meter, position_q, divisions = [], [0.0], None, 0.0, 1
    for measure in part.findall("measure"):
        here_q, last_onset_q = position_q, position_q
        for item in measure:
            if item.tag == "attributes":
                divisions = int(item.findtext("divisions", str(divisions)))
                if (time := item.find("time")) is not None:
                    found = int(time.findtext("beats")), int(time.findtext("beat-type"))
                    if meter not in (None, found):
                        raise UnreadableChorale("the metre changes")
                    meter = found
            elif item.tag in ("backup", "forward"):
                raise UnreadableChorale("a part with two voices")
            elif item.tag == "note" and item.find("grace") is None:
                duration_q = int(item.findtext("duration")) / divisions
                onset_q = last_onset_q if item.find("chord") is not None else here_q
                if (pitch := item.find("pitch")) is not None:
                    _add(events, onset_q, duration_q, _midi(pitch), [tie.get("type") for tie in item.findall("tie")])
                last_onset_q, here_q = onset_q, onset_q + duration_q
        position_q = here_q
        bounds.append(position_q)
    return events, bounds, meter


def _midi(pitch):
    alter = int(float(pitch.findtext("alter", "0")))
    return 12 * (int(pitch.findtext("octave")) + 1) + _STEPS[pitch.findtext("step")] + alter


def _add(events, onset_q, duration_q, pitch, ties):
    if "stop" in ties and events and events[-1][2] == pitch:
        start_q, before_q, _ = events.pop()
        events.append((start_q, before_q + duration_q, pitch))
    else:
        events.append((onset_q, duration_q, pitch))
