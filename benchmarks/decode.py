"""How many seconds of sound a core decodes and prepares in one: `OMP_NUM_THREADS=1 python benchmarks/decode.py`.

Files of 60 s stereo are made on the spot: chords with noise. CPU time is taken, so that other work matters little.
"""

import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from sordino import audio
from sordino.datasets._scan import scan_file

LENGTH_S, TARGET_HZ, N_CROPS, CROP_S = 60.0, 24_000, 20, 10.0


def make(path: Path) -> None:
    """A stereo file of its suffix."""
    rate_hz = 48_000 if path.suffix == ".opus" else 44_100
    time_s = np.arange(round(LENGTH_S * rate_hz)) / rate_hz
    rng = np.random.default_rng(0)
    chord = sum(0.05 * np.sin(2 * np.pi * hz * time_s) for hz in (131, 165, 196, 262, 330, 392))
    channels = [chord + rng.normal(0, 0.02, len(time_s)) for _ in range(2)]
    audio.write(path, np.stack(channels, axis=1).astype(np.float32), rate_hz)


def speed(seconds: float, work) -> float:
    """Seconds of sound per second of CPU, the best of three."""
    times = []
    for _ in range(3):
        began = time.process_time()
        work()
        times.append(time.process_time() - began)
    return seconds / min(times)


def main() -> None:
    print("| format | read whole | read by 10 s crops | prepare (decode, hash, sound code) |\n|---|---:|---:|---:|")
    slowest = np.inf
    with tempfile.TemporaryDirectory() as folder:
        for suffix in (".wav", ".flac", ".ogg", ".mp3", ".opus"):
            path = Path(folder) / f"a{suffix}"
            make(path)
            starts = np.random.default_rng(1).uniform(0, LENGTH_S - CROP_S, N_CROPS)
            whole = speed(LENGTH_S, lambda path=path: audio.read(path, TARGET_HZ))
            crops = speed(
                N_CROPS * CROP_S,
                lambda path=path, starts=starts: [audio.read(path, TARGET_HZ, s, CROP_S) for s in starts],
            )
            prepared = speed(LENGTH_S, lambda path=path: scan_file(str(path)))
            slowest = min(slowest, whole, crops, prepared)
            print(f"| {suffix[1:]} | {whole:.0f}x | {crops:.0f}x | {prepared:.0f}x |")
    print(f"slowest: {slowest:.0f}x real time on one core", file=sys.stderr)


if __name__ == "__main__":
    main()
