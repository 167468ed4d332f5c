"""Sound from events, with FluidSynth's library and soundfonts (SoundFont 2 or 3).

The library is reached through ctypes, so no Python package is needed. A `Synth` loads its soundfonts once and
then renders any number of arrangements, several groups of instruments apart; events fall on FluidSynth's blocks of
64 samples (1.8 ms). At 36 kHz what folds back lies above 13 kHz and goes when the clip becomes 24 kHz.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

SAMPLE_RATE_HZ = 36_000
BUSES = ("keys", "guitar", "drums", "lead")
N_CHANNELS = 64
"""Channel n is heard on bus n modulo 4."""
_BEND_RANGE_SEMITONES = 2
_WARNING = 2  # FLUID_WARN
_FOLDERS = ("/usr/share/sounds/sf3", "/usr/share/sounds/sf2", "/usr/share/soundfonts", "/usr/local/share/soundfonts",
            "/opt/homebrew/share/soundfonts")  # fmt: skip
_PACKAGES = {
    "FluidR3Mono_GM.sf3": "fluidr3mono-gm-soundfont",
    "MuseScore_General_Lite.sf3": "musescore-general-soundfont-small",
    "TimGM6mb.sf2": "timgm6mb-soundfont",
}


class MissingSynth(FileNotFoundError):
    """FluidSynth or a soundfont is not on this machine; the message says how to get it."""


@dataclass(frozen=True)
class Event:
    """One thing to do: at which second, on which channel, what (`on`, `off`), pitch and velocity."""

    time_s: float
    kind: str
    channel: int
    pitch: int
    velocity: int = 0


@dataclass(frozen=True)
class Voice:
    """How a channel sounds: soundfont, bank and program, loudness 0 to 127, place from 0 (left) to 127, cents off."""

    channel: int
    font: str
    bank: int
    program: int
    volume: int = 100
    pan: int = 64
    detune_cents: float = 0.0


def find_soundfont(name):
    """Return the path of a soundfont.

    Args:
        name: its file name; looked for in ``$SORDINO_SOUNDFONTS`` and the usual folders.

    Raises:
        MissingSynth: it is nowhere; says which package holds it.
    """
    extra = [os.environ["SORDINO_SOUNDFONTS"]] if "SORDINO_SOUNDFONTS" in os.environ else []
    for folder in (*extra, *_FOLDERS):
        if (path := Path(folder) / name).exists():
            return path
    raise MissingSynth(
        f"soundfont {name} not found; apt-get install {_PACKAGES.get(name, 'it')}, "
        "or put it into a folder and name that in SORDINO_SOUNDFONTS"
    )


def _library():
    found = ctypes.util.find_library("fluidsynth")
    for name in filter(None, (found, "libfluidsynth.so.3", "libfluidsynth.so.2", "libfluidsynth.3.dylib")):
        try:
            library = ctypes.CDLL(name)
        except OSError:
            continue
        library.new_fluid_settings.restype = ctypes.c_void_p
        library.new_fluid_synth.restype = ctypes.c_void_p
        library.fluid_synth_get_sfont_by_id.restype = ctypes.c_void_p
        library.fluid_set_log_function(_WARNING, None, None)  # giving a soundfont back warns for every channel
        return library
    raise MissingSynth("FluidSynth not found; apt-get install fluidsynth, or brew install fluid-synth")


class Synth:
    """FluidSynth with some soundfonts, without its reverb and chorus (rooms are added in mix.py)."""

    def __init__(self, fonts):
        """Load soundfonts, given by file names or paths."""
        self._lib = _library()
        self._settings = ctypes.c_void_p(self._lib.new_fluid_settings())
        for name, number in ((b"synth.sample-rate", SAMPLE_RATE_HZ), (b"synth.gain", 0.4)):
            self._lib.fluid_settings_setnum(self._settings, name, ctypes.c_double(number))
        whole = {"reverb.active": 0, "chorus.active": 0, "midi-channels": N_CHANNELS, "polyphony": 160,
                 "audio-channels": len(BUSES), "audio-groups": len(BUSES)}  # fmt: skip
        for name, number in whole.items():
            self._lib.fluid_settings_setint(self._settings, b"synth." + name.encode(), number)
        # This synthesiser only owns the soundfonts. Each rendering has one of its own, because a used one is not
        # quite as new: the same notes would come out different, by little, depending on what was played before.
        self._owner = ctypes.c_void_p(self._lib.new_fluid_synth(self._settings))
        self._fonts = {font: self._load(font) for font in fonts}

    def _load(self, font):
        path = Path(font) if Path(font).exists() else find_soundfont(font)
        number = self._lib.fluid_synth_sfload(self._owner, os.fsencode(path), 1)
        if number < 0:
            raise MissingSynth(f"{path}: FluidSynth cannot read this soundfont")
        return ctypes.c_void_p(self._lib.fluid_synth_get_sfont_by_id(self._owner, number))

    def render(self, voices, events, duration_s):
        """Return stereo audio [bus 2 time] at `SAMPLE_RATE_HZ`, in the order of `BUSES`.

        Args:
            voices: one for every channel that is used.
            events: in any order.
            duration_s: length of the answer; time 0 is its first sample.
        """
        lib = self._lib
        synth = ctypes.c_void_p(lib.new_fluid_synth(self._settings))
        fonts = {name: lib.fluid_synth_add_sfont(synth, font) for name, font in self._fonts.items()}
        try:
            self._set_up(synth, fonts, voices)
            return self._play(synth, events, round(duration_s * SAMPLE_RATE_HZ))
        finally:
            for font in self._fonts.values():
                lib.fluid_synth_remove_sfont(synth, font)
            lib.delete_fluid_synth(synth)

    def _set_up(self, synth, fonts, voices):
        lib = self._lib
        for voice in voices:
            bend = round(8192 * (1 + voice.detune_cents / (100 * _BEND_RANGE_SEMITONES)))
            lib.fluid_synth_set_channel_type(synth, voice.channel, int(voice.bank == 128))
            lib.fluid_synth_program_select(synth, voice.channel, fonts[voice.font], voice.bank, voice.program)
            lib.fluid_synth_pitch_wheel_sens(synth, voice.channel, _BEND_RANGE_SEMITONES)
            lib.fluid_synth_pitch_bend(synth, voice.channel, bend)
            lib.fluid_synth_cc(synth, voice.channel, 7, voice.volume)
            lib.fluid_synth_cc(synth, voice.channel, 10, voice.pan)

    def _play(self, synth, events, n_samples):
        lib = self._lib
        audio = np.zeros((2 * len(BUSES), n_samples), dtype=np.float32)
        done = 0
        for event in sorted(events, key=lambda e: (e.time_s, e.kind == "on")):
            due = min(round(max(event.time_s, 0.0) * SAMPLE_RATE_HZ), n_samples)
            done = self._write(synth, audio, done, due)
            if event.kind == "on":
                lib.fluid_synth_noteon(synth, event.channel, event.pitch, event.velocity)
            else:
                lib.fluid_synth_noteoff(synth, event.channel, event.pitch)
        self._write(synth, audio, done, n_samples)
        return audio.reshape(len(BUSES), 2, n_samples)

    def _write(self, synth, audio, start, end):
        if end > start:
            address, stride = audio.ctypes.data + 4 * start, audio.strides[0]
            out = (ctypes.c_void_p * len(audio))(*(address + row * stride for row in range(len(audio))))
            self._lib.fluid_synth_process(synth, end - start, 0, None, len(audio), out)
        return max(start, end)

    def close(self):
        """Give the soundfonts' memory back."""
        self._lib.delete_fluid_synth(self._owner)
        self._lib.delete_fluid_settings(self._settings)
