"""MIDI files: read, judged, played."""

import struct

import numpy as np
import pytest

from sordino.render.charts import Request, Unsuitable
from sordino.render.scores.midi_file import MidiNote, UnreadableMidi, read_midi, read_wad
from sordino.render.scores.songs import read_song, sure_key
from sordino.render.song_band import perform, song_style


def number(value):
    out = [value & 0x7F]
    while value := value >> 7:
        out.insert(0, value & 0x7F | 0x80)
    return bytes(out)


def track(*events):
    """(ticks since the last, bytes) pairs as a track."""
    body = b"".join(number(ticks) + data for ticks, data in events) + b"\x00\xff\x2f\x00"
    return b"MTrk" + struct.pack(">I", len(body)) + body


def midi(*tracks, division=96):
    return b"MThd" + struct.pack(">IHHH", 6, 1, len(tracks), division) + b"".join(tracks)


def tempo(bpm):
    return b"\xff\x51\x03" + round(60e6 / bpm).to_bytes(3, "big")


METER = b"\xff\x58\x04\x04\x02\x18\x08"


def test_notes_tempi_and_metres():
    content = midi(
        track((0, tempo(120)), (0, METER), (384, tempo(90))),
        track(
            (0, b"\xc1\x21"),
            (48, b"\x91\x3c\x64"),
            (96, b"\x3c\x00"),
            (0, b"\xf0\x02\x01\xf7"),
            (0, b"\x91\x40\x50"),
            (200, b"\x81\x40\x00"),
        ),
    )
    file = read_midi(content)
    assert file.notes == [MidiNote(0.5, 1.0, 60, 100, 1, 33), MidiNote(1.5, 200 / 96, 64, 80, 1, 33)]
    assert file.tempi == [(0.0, 0.5), (4.0, pytest.approx(2 / 3, abs=1e-5))]
    assert file.meters == [(0.0, 4, 1.0)]
    wad = b"PWAD" + struct.pack("<II", 2, 12 + len(content)) + content
    wad += struct.pack("<II8s", 12, len(content), b"D_SONG\0\0") + struct.pack("<II8s", 0, 4, b"OTHER\0\0\0")
    assert read_wad(wad) == {"D_SONG": content}


@pytest.mark.parametrize(
    "content", [b"RIFF....", midi(division=0xE728), midi(track((0, METER)))[:-6], midi(b"junkjunk")]
)
def test_other_bytes_are_refused(content):
    with pytest.raises(UnreadableMidi):
        read_midi(content)
    with pytest.raises(UnreadableMidi):
        read_wad(b"PNG" + bytes(20))


def band(bpm=120.0, late=0, n_bars=24, root=48):
    """A I-IV-V-I loop with bass, chords and drums, as a MIDI file; `late` ticks off the grid."""
    bass, keys, drums = [], [], []
    wait = late
    for bar in range(n_bars):
        step = (0, 5, 7, 0)[bar % 4]
        for beat in range(4):
            bass += [
                (wait if beat == 0 and bar == 0 else 0, bytes([0x90, root - 12 + step, 100])),
                (96, bytes([0x80, root - 12 + step, 0])),
            ]
            drums += [
                (late if not drums else 0, bytes([0x99, 36 if beat % 2 == 0 else 38, 100])),
                (96, bytes([0x89, 36 if beat % 2 == 0 else 38, 0])),
            ]
            keys += [
                (late if not keys else 0, bytes([0x91, root + 12 + step, 80])),
                (0, bytes([0x91, root + 16 + step, 80])),
                (0, bytes([0x91, root + 19 + step, 80])),
            ]
            keys += [
                (96, bytes([0x81, root + 12 + step, 0])),
                (0, bytes([0x81, root + 16 + step, 0])),
                (0, bytes([0x81, root + 19 + step, 0])),
            ]
    return midi(track((0, tempo(bpm)), (0, METER)), track(*bass), track(*keys), track(*drums))


def test_a_plain_song_is_trusted():
    song = read_song(band(), "freedoom", "D_X")
    assert (song.meter, song.tempo_bpm, song.length_q) == ((4, 1.0), 120.0, 92.0)  # the last bar may be cut off
    assert (song.tonic, song.mode, song.id) == (0, "major", "freedoom-D_X")


def test_songs_off_the_grid_too_fast_or_too_short_are_not():
    assert read_song(band(late=11), "freedoom", "D_X") is None
    assert read_song(band(bpm=240), "freedoom", "D_X") is None
    assert read_song(band(n_bars=8), "freedoom", "D_X") is None
    assert read_song(b"no MIDI", "freedoom", "D_X") is None


def test_keys_are_sure_only_when_profiles_agree():
    scale = [MidiNote(i, 1.0, 60 + step, 90, 0, 0) for i, step in enumerate((0, 4, 7, 0, 5, 9, 0, 7, 11, 2, 0, 4))]
    assert sure_key(scale) == (0, "major")
    chromatic = [MidiNote(i, 1.0, 60 + i % 12, 90, 0, 0) for i in range(48)]
    assert sure_key(chromatic)[0] is None
    other_bass = [
        *scale,
        *(MidiNote(i, 2.0, 42, 90, 0, 33) for i in range(3)),
        *(MidiNote(i, 2.0, 44, 90, 0, 33) for i in range(2)),
    ]
    assert sure_key(other_bass)[0] is None


def test_a_performance_keeps_the_songs_beats():
    song = read_song(band(), "freedoom", "D_X")
    request = Request("c", "train", song.group, song_style("band"), "train", 150.0, 2, "major", True, (1, 2), song)
    performance = perform(request, np.random.default_rng(0))
    beats_s = performance.clock.seconds(np.array(performance.beats_q))
    assert np.diff(beats_s) == pytest.approx(0.4) and beats_s[0] == 0
    assert performance.downbeats_q[1] == 4.0
    bass = min(performance.parts, key=lambda part: min(note[2] for note in part.notes))
    assert {pitch % 12 for _, _, pitch, _ in bass.notes} == {2, 7, 9}  # D major
    assert [hit.drum for hit in performance.hits[:4]] == [36, 38, 36, 38]
    assert all(hit.onset_q % 1 == 0 for hit in performance.hits)
    with pytest.raises(Unsuitable, match="too short"):
        perform(
            Request("c", "train", "g", song_style("band"), "train", 700.0, 2, "major", True, (1, 2), song),
            np.random.default_rng(0),
        )
