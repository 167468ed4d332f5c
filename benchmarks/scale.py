"""How prepare, train, evaluate and predict grow with the number of tracks: seconds of CPU and peak memory.

Makes a table of many tracks, links to a few short sound files (one set for each split), in a folder that is given, and
runs the commands on it as processes of their own:

    python benchmarks/scale.py /tmp/scale --tracks 1000 10000 100000
"""

import argparse
import csv
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import soundfile

RATE_HZ, CLIP_S, N_FILES = 24_000, 2.0, 12
SPLITS = {"train": 0.8, "validation": 0.1, "test": 0.1}
KEYS = [f"{tonic} {mode}" for tonic in "CDEFGA" for mode in ("major", "minor")]
BACKBONE = [
    "backbone.name=mini",
    "backbone.weights=random",
    "backbone.n_layers=2",
    "backbone.dim=32",
    "backbone.n_heads=2",
]


def write_table(folder, n_tracks):
    """Distinct sounds for each split, and as many links to them as there are tracks."""
    rng = np.random.default_rng(0)
    (folder / "sounds").mkdir(parents=True, exist_ok=True)
    (folder / "links").mkdir(exist_ok=True)
    times = np.arange(round(CLIP_S * RATE_HZ)) / RATE_HZ
    rows = []
    for split, share in SPLITS.items():
        for number in range(N_FILES):
            tones = [np.sin(2 * np.pi * f * times) for f in 220 * 2 ** (rng.integers(0, 24, 3) / 12)]
            wave = 0.1 * sum(tones) + 0.01 * rng.standard_normal(len(times))
            soundfile.write(folder / "sounds" / f"{split}{number}.wav", wave, RATE_HZ)
        for number in range(round(share * n_tracks)):
            link = folder / "links" / f"{split}-{number}.wav"
            os.symlink(folder / "sounds" / f"{split}{number % N_FILES}.wav", link)
            rows.append({"path": f"links/{link.name}", "key": KEYS[number % N_FILES], "split": split})
    with (folder / "labels.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return folder / "labels.csv"


def run(name, words, folder):
    """One command: seconds, CPU seconds and peak memory of its processes."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    environment = {**os.environ, "SORDINO_CACHE": str(folder / "cache"), "OMP_NUM_THREADS": "1"}
    command = ["/usr/bin/time", "-f", "%M", sys.executable, "-m", "sordino", *map(str, words)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, cwd=folder)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        sys.exit(f"{name} failed:\n{done.stderr[-2000:]}")
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    peak_gib = int(done.stderr.split()[-1]) / 1024**2
    print(f"| {name} | {time.perf_counter() - began:.0f} | {cpu_s:.0f} | {peak_gib:.2f} |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--tracks", type=int, nargs="+", default=[1_000, 10_000])
    args = parser.parse_args()
    for n_tracks in args.tracks:
        folder = args.folder.resolve() / str(n_tracks)
        table = write_table(folder, n_tracks)
        print(f"\n{n_tracks:,} tracks\n\n| | s | CPU s | peak GiB |\n|---|---:|---:|---:|", flush=True)
        settings = ["training.steps=2000", "training.batch_size=64", "training.validate_every=1000", "head.hidden=0"]
        words = ["train", table, "-t", "key", "-m", "probe", "--out", folder / "runs", *settings, *BACKBONE]
        run("prepare", ["prepare", table, "--task", "key"], folder)
        run("prepare again", ["prepare", table, "--task", "key"], folder)
        run("train a probe", words, folder)
        run("the same, finished", words, folder)
        (adapter,) = (folder / "runs").glob("*/model.adapter")
        run("evaluate", ["evaluate", adapter, "--data", table], folder)


if __name__ == "__main__":
    main()
