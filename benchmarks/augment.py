"""Quality and speed of pitch shifting and time stretching, on sounds whose right answer is known.

`OMP_NUM_THREADS=1 python benchmarks/augment.py`: a tone of 440 Hz (detuning, level of all that is not the tone) and
noise clicks every half second (how far their onsets stray, and how long they last).
With `python-stretch` installed, Signalsmith's stretcher stands beside.
"""

import time
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np

from sordino.vocoder import pitch_shift, time_stretch

RATE_HZ, LENGTH_S, PERIOD = 24_000, 20.0, 12_000
N = round(RATE_HZ * LENGTH_S)


def tone() -> np.ndarray:
    return (0.3 * np.sin(2 * np.pi * 440 * np.arange(N) / RATE_HZ)).astype(np.float32)


def clicks() -> np.ndarray:
    x, rng = np.zeros(N, np.float32), np.random.default_rng(0)
    for start in range(PERIOD // 2, N - 2_000, PERIOD):
        x[start : start + 600] = rng.normal(0, 0.3, 600) * np.exp(-np.arange(600) / 100)
    return x


def middle(x: np.ndarray) -> np.ndarray:
    return x[len(x) // 4 : 3 * len(x) // 4]


def frequency_hz(x: np.ndarray) -> float:
    x = middle(x)
    log_power = np.log(np.abs(np.fft.rfft(x * np.hanning(len(x)), 8 * len(x))) + 1e-12)
    k = int(log_power.argmax())
    a, b, c = log_power[k - 1 : k + 2]
    return (k + 0.5 * (a - c) / (a - 2 * b + c)) * RATE_HZ / (8 * len(x))


def residual_db(x: np.ndarray, hz: float) -> float:
    """Level of what is left when the best sine is taken away."""
    x = middle(x)
    phase = 2 * np.pi * hz * np.arange(len(x)) / RATE_HZ
    sines = np.stack([np.sin(phase), np.cos(phase)], axis=1)
    rest = x - sines @ np.linalg.lstsq(sines, x, rcond=None)[0]
    return 20 * np.log10(rest.std() / x.std())


def onsets_ms(x: np.ndarray, expected: np.ndarray) -> tuple[float, float]:
    """How far the worst onset strays, and how long a click lasts (10 to 90 % of its energy)."""
    strays, lengths = [], []
    for place in expected.astype(int):
        energy = np.cumsum(x[place - 1_500 : place + 1_500] ** 2)
        at = [np.searchsorted(energy, share * energy[-1]) for share in (0.05, 0.1, 0.9)]
        strays.append(abs(at[0] - 1_500))
        lengths.append(at[2] - at[1])
    return 1e3 * max(strays) / RATE_HZ, 1e3 * float(np.mean(lengths)) / RATE_HZ


def stretchers() -> Iterator[tuple[str, Callable, Callable]]:
    yield "sordino", time_stretch, pitch_shift
    try:
        import python_stretch
    except ImportError:
        return

    def signalsmith(x: np.ndarray, rate: float = 1.0, semitones: float = 0.0) -> np.ndarray:
        stretch = python_stretch.Signalsmith.Stretch()
        stretch.preset(1, RATE_HZ)
        stretch.setTransposeSemitones(semitones)
        stretch.timeFactor = rate
        return stretch.process(x[None])[0]

    yield "Signalsmith", signalsmith, lambda x, semitones: signalsmith(x, semitones=semitones)


def main() -> None:
    print("| by | change | detuned (cents) | residual (dB) | onsets stray (ms) | click lasts (ms) | x real time |")
    print("|---|---|---:|---:|---:|---:|---:|")
    places = np.arange(PERIOD // 2, N - 2_000, PERIOD)
    print(f"| | none | 0 | | 0 | {onsets_ms(clicks(), places)[1]:.1f} | |")
    for name, stretch, shift in stretchers():
        changes = [(f"rate {rate}", partial(stretch, rate=rate), 440.0, rate) for rate in (0.95, 1.05)]
        for semitones in (-4, 1, 4):
            hz = 440 * 2 ** (semitones / 12)
            changes.append((f"{semitones:+d} semitones", partial(shift, semitones=semitones), hz, 1.0))
        for what, change, target_hz, rate in changes:
            began = time.process_time()
            changed = change(tone())
            seconds = time.process_time() - began
            found_hz = frequency_hz(changed)
            stray, lasts = onsets_ms(change(clicks()), places / rate)
            cells = [f"{1200 * np.log2(found_hz / target_hz):.2f}", f"{residual_db(changed, found_hz):.0f}"]
            cells += [f"{stray:.1f}", f"{lasts:.1f}", f"{LENGTH_S / seconds:.0f}"]
            print(f"| {name} | {what} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
