"""How fast clips are rendered, by style: `OMP_NUM_THREADS=1 python benchmarks/render.py --per-style 3`.

CPU time is taken, so that other work on the machine matters little; reading scores and soundfonts is not counted.
"""

import argparse
import sys
import time

import numpy as np

from sordino.render.band.style_table import STYLES
from sordino.render.charts import CLIP_S
from sordino.render.clips import record_clip
from sordino.render.corpus import Job, Wish, compose, groups_of_pieces
from sordino.render.sound.palettes import PALETTES
from sordino.render.sound.synth import Synth


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--per-style", type=int, default=3)
    parser.add_argument("--sounds", default="train", choices=PALETTES)
    args = parser.parse_args()
    synth = Synth(PALETTES[args.sounds].fonts)
    groups_of_pieces()
    times_s = {}
    for number, style in enumerate(STYLES):
        for index in range(args.per_style):
            mode = "minor" if (index + 0.5) / args.per_style < style.minor else "major"
            job = Job(f"{style.name}-{index}", "train", index, 5, "train", args.sounds)
            wish = Wish(job, True, mode, (5 * index) % 12, (5, number, index))
            made = compose(wish, style, np.random.default_rng(wish.numbers))
            if made is not None:
                began_s = time.process_time()
                record_clip(made, synth)
                times_s.setdefault(style.name, []).append(time.process_time() - began_s)
    print("| style | times real time |\n|---|---:|")
    for name, spent_s in sorted(times_s.items(), key=lambda item: -np.mean(item[1])):
        print(f"| {name} | {CLIP_S / np.mean(spent_s):.0f}x |")
    shares = np.array([style.weight for style in STYLES if style.name in times_s])
    mean_s = (
        np.array([np.mean(times_s[style.name]) for style in STYLES if style.name in times_s]) @ shares / shares.sum()
    )
    print(f"in the proportions of a corpus: {CLIP_S / mean_s:.0f}x real time on one core", file=sys.stderr)


if __name__ == "__main__":
    main()
