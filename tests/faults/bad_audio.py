"""More than a hundred kinds of bad sound files and names."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile

from sordino import audio

RATE_HZ = 22_050
SUFFIXES = (".wav", ".flac", ".ogg", ".opus", ".mp3", ".au")
RATES_HZ = {".opus": 24_000}


def tone(seconds: float = 1.2, rate_hz: int = RATE_HZ) -> np.ndarray:
    rng = np.random.default_rng(0)
    return 0.2 * np.sin(np.arange(round(seconds * rate_hz)) / 9) + 0.02 * rng.standard_normal(round(seconds * rate_hz))


def good(path: Path, seconds: float = 1.2) -> bytes:
    """A healthy file."""
    rate_hz = RATES_HZ.get(path.suffix, RATE_HZ)
    audio.write(path, tone(seconds, rate_hz).astype(np.float32), rate_hz)
    return path.read_bytes()


def samples(values: np.ndarray, subtype: str = "FLOAT", rate_hz: int = RATE_HZ) -> Callable[[Path], None]:
    return lambda path: soundfile.write(path, values, rate_hz, subtype=subtype)


def changed(change: Callable[[bytearray], bytes | bytearray]) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        path.write_bytes(change(bytearray(good(path))))

    return write


def spoiled(data: bytearray, begin: float, end: float, byte: int | None = None) -> bytearray:
    rng, first, last = np.random.default_rng(1), int(begin * len(data)), int(end * len(data))
    data[first:last] = rng.bytes(last - first) if byte is None else bytes([byte]) * (last - first)
    return data


def head(data: bytearray, at: int, form: str, *values: int) -> bytearray:
    data[at : at + struct.calcsize(form)] = struct.pack(form, *values)
    return data


def bad_kinds() -> dict[str, Callable[[Path], None]]:
    """By the name of the file, what writes it; each is no sound that could be answered to its end."""
    kinds: dict[str, Callable[[Path], None]] = {}
    for suffix in SUFFIXES:
        kinds |= {
            f"empty{suffix}": lambda path: path.write_bytes(b""),
            f"one byte{suffix}": lambda path: path.write_bytes(b"\0"),
            f"zeros{suffix}": lambda path: path.write_bytes(bytes(5_000)),
            f"noise{suffix}": lambda path: path.write_bytes(np.random.default_rng(2).bytes(20_000)),
            f"text{suffix}": lambda path: path.write_text("<html>404 not found</html>" * 50),
            f"head only{suffix}": changed(lambda data: data[:40]),
            f"folder{suffix}": lambda path: path.mkdir(),
            f"dangling{suffix}": lambda path: path.symlink_to("nowhere"),
            f"loop{suffix}": lambda path: path.symlink_to(path.name),
            f"pipe{suffix}": lambda path: os.mkfifo(path),
            f"missing{suffix}": lambda path: None,
        }
        if suffix != ".mp3":  # whose frames stand for themselves: it may be read as far as it goes
            kinds[f"cut{suffix}"] = changed(lambda data: data[: len(data) // 2])
            kinds[f"zeros in front{suffix}"] = changed(lambda data: spoiled(data, 0.0, 0.3, 0))
        if suffix not in (".wav", ".au", ".mp3"):  # these would be other samples, not damage
            kinds |= {
                f"spoiled middle{suffix}": changed(lambda data: spoiled(data, 0.45, 0.55)),
                f"cut late{suffix}": changed(lambda data: data[: 9 * len(data) // 10]),
            }
    wave, nan = tone(), np.full(2_000, np.nan)
    kinds |= {
        "nan.wav": samples(nan), "one nan.wav": samples(np.where(np.arange(len(wave)) == 9_000, np.nan, wave)),
        "inf.wav": samples(np.where(np.arange(len(wave)) == 5, np.inf, wave)),
        "minus inf.wav": samples(np.where(np.arange(len(wave)) == 5, -np.inf, wave)),
        "huge.wav": samples(np.full(40_000, 3e38), "FLOAT"),
        "huge double.wav": samples(np.full(40_000, 1e300), "DOUBLE"),
        "no sample.wav": samples(np.zeros(0), "PCM_16"), "1 Hz.wav": samples(wave[:50], "PCM_16", 1),
        "2 GHz.wav": samples(wave[:5_000], "PCM_16", 2_000_000_000),
        "rate 0.wav": changed(lambda data: head(data, 24, "<I", 0)),
        "channels 0.wav": changed(lambda data: head(data, 22, "<H", 0)),
        "channels 65535.wav": changed(lambda data: head(data, 22, "<H", 65_535)),
        "bits 0.wav": changed(lambda data: head(data, 34, "<H", 0)),
        "bits 77.wav": changed(lambda data: head(data, 34, "<H", 77)),
        "coding 9999.wav": changed(lambda data: head(data, 20, "<H", 9_999)),
        "fmt of 4 GB.wav": changed(lambda data: head(data, 16, "<I", 0xFFFFFFF0)),
        "no data.wav": changed(lambda data: data[:36]),
        "data of another name.wav": changed(lambda data: head(data, 36, "<I", 0)),
        "au offset.au": changed(lambda data: head(data, 4, ">I", 0x7FFFFFF0)),
        "au coding.au": changed(lambda data: head(data, 12, ">I", 999)),
        "au rate 0.au": changed(lambda data: head(data, 16, ">I", 0)),
        "flac no info.flac": changed(lambda data: spoiled(data, 0.0, 0.002, 0)),
        "named.m4a": lambda path: path.write_bytes(b"\0\0\0\x20ftypM4A " + bytes(2_000)),
        "named.wma": lambda path: path.write_bytes(b"\x30\x26\xb2\x75" + bytes(2_000)),
        "picture.wav": lambda path: path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(2_000)),
        "zip.mp3": lambda path: path.write_bytes(b"PK\3\4" + bytes(2_000)),
        "script.ogg": lambda path: path.write_text("#!/bin/sh\nexit 1\n"),
    }  # fmt: skip
    return kinds


ODD_NAMES = [
    "spaces and, commas;.wav", "quote ' and \".wav", "new\nline.wav", "tab\there.wav", "ünï ©.wav", "u\u0308.wav",
    "日本語.wav", "🎵.wav", "-dash.wav", "--help.wav", "per%cent.wav", "$HOME.wav", "`x`.wav", "[glob]*?.wav",
    "dots...wav", "UPPER.WAV", "a" * 240 + ".wav", "back\\slash.wav", "semi;colon.wav", "{brace}.wav",
    "null.wav", "nan.NaN.wav",
    "#.wav", "bell\a.wav", "esc\x1b[31m.wav", "\u202ertl.wav",
]  # fmt: skip
RAW_NAMES = [b"latin \xe9\xfc.wav", b"\xff\xfe.wav", b"half \xe2\x82.wav"]  # not UTF-8


def odd_names(folder: Path) -> list[Path]:
    """Healthy files with odd names."""
    data = good(folder / "healthy.wav")
    made = [folder / name for name in ODD_NAMES]
    for path in made:
        path.write_bytes(data)
    for raw in RAW_NAMES:
        path = os.path.join(os.fsencode(folder), raw)  # noqa: PTH118
        with open(path, "wb") as file:  # noqa: PTH123
            file.write(data)
        made.append(Path(os.fsdecode(path)))
    return made


def bad_files(folder: Path) -> list[Path]:
    """One file of every bad kind."""
    made = []
    for name, write in bad_kinds().items():
        write(folder / name)
        made.append(folder / name)
    return [*made, folder / ("x" * 300 + ".wav"), folder / ("y/" * 150) / "z.wav", folder / "nul\0.wav"]
