"""Everything we claim about speed, side by side in one run: `make bench`.

    python benchmarks/bench.py --out docs/performance       # writes docs/performance.json and .png, prints tables
    python benchmarks/bench.py --groups mini --rounds 3

Each row of each round is a process of its own with one thread, which does it once to warm up, then again to be timed,
up to five times in two seconds. The rows of a group take turns, so whatever else the machine does falls on all of
them; what is told is the median CPU time of the rounds, and the median of its ratios to the group's first row in the
same round. The floor is the operations of the row's matrix products and convolutions, counted, at the rate of a large
matrix product measured in the same process; what is above it goes to memory, small products and Python. What costs
most of that is named beside it: the operator, other than those that are counted, that took the largest share of the
row's CPU time in a run of its own under the profiler. Memory is the highest of the whole process, libraries and
weights included. Groups in bfloat16 run under PyTorch's autocast, where the processor multiplies it. What is not
installed is left out.
"""

import argparse
import importlib.metadata
import itertools
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

PACKAGES = ("sordino", "torch", "transformers", "peft", "librosa", "madmom", "beat_this")
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
PEAK_SIZE = 1024
HEAD = "| | CPU s | ratio | floor, CPU s | next largest cost | peak MB |"
LEAST_SHARE = 0.02
COUNTED = ("mm", "conv", "dot_product", "linear")  # in names of operators whose arithmetic the floor counts


def cpu_s():
    """CPU seconds of this process and of the programs that it has run."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def timed(call):
    begun = cpu_s()
    call()
    return cpu_s() - begun


def peak_rate(dtype):
    """Operations a second of a large matrix product."""
    import torch

    x = torch.randn(PEAK_SIZE, PEAK_SIZE).to(dtype)
    return 2 * PEAK_SIZE**3 / min(timed(lambda: x @ x) for _ in range(5))


def serve(group, name, looks):
    """In a process of its own: once to warm up and to count, once to be timed, and once to be looked into."""
    import torch
    from bench_rows import BF16, ROWS
    from torch.utils.flop_counter import FlopCounterMode

    from sordino.memory import keep_freed_memory

    torch.set_num_threads(1)
    keep_freed_memory()
    with torch.autocast("cpu", torch.bfloat16, enabled=group in BF16):
        call = ROWS[group][name]()
        with FlopCounterMode(display=False) as counter:
            call()
        rate = peak_rate(torch.bfloat16 if group in BF16 or (BF16 and "answers" in group) else torch.float32)
        times = [timed(call)]
        while len(times) < 5 and sum(times) < 2:
            times.append(timed(call))
        told = {"cpu_s": statistics.median(times), "floor_s": counter.get_total_flops() / rate, "peak_mb": peak_mb()}
        told["next"] = largest_beside(call, told["cpu_s"]) if looks else ""
    print(json.dumps(told))


def largest_beside(call, whole_s):
    """The operator that costs most beside the counted ones, and its share of the row; none where torch does little."""
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CPU]) as seen:
        call()
    spent = {event.key: event.self_cpu_time_total * 1e-6 for event in seen.key_averages()}
    beside = {name: own for name, own in spent.items() if not any(word in name for word in (*COUNTED, "#"))}
    name = max(beside, key=beside.__getitem__, default="")
    share = beside.get(name, 0.0) / whole_s
    return f"{name.removeprefix('aten::')} {share:.0%}" if share > LEAST_SHARE else ""


def peak_mb():
    """The most memory that this process held; nothing where it only runs other programs."""
    programs = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return 0 if programs else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure(group, names, rounds):
    """One row for each name that could be measured."""
    found = {name: [] for name in names}
    for number in range(1, rounds + 1):
        for name in list(found):
            looks = "looked into" if number == 1 else ""
            done = subprocess.run([sys.executable, __file__, "--serve", group, name, looks], env=ENVIRONMENT, text=True,
                                  stdout=subprocess.PIPE, check=False)  # fmt: skip
            if done.returncode:
                print(f"left out: {name}", file=sys.stderr)
                del found[name]
            else:
                found[name].append(json.loads(done.stdout.splitlines()[-1]))
        print(f"{group}: round {number} of {rounds}", file=sys.stderr)
    first = next(iter(found.values()), [])
    return [
        {"group": group, "row": name, "next": own[0]["next"],
         **{key: statistics.median(told[key] for told in own) for key in ("cpu_s", "floor_s", "peak_mb")},
         "ratio": statistics.median(told["cpu_s"] / other["cpu_s"] for told, other in zip(own, first, strict=True))}
        for name, own in found.items()
    ]  # fmt: skip


def machine():
    """What the numbers belong to."""
    known = Path("/proc/cpuinfo")
    lines = known.read_text().splitlines() if known.exists() else []
    name = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.processor())
    installed = {}
    for package in PACKAGES:
        try:
            installed[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return {"processor": name, "python": platform.python_version(), "threads": 1, **installed}


def tables(found):
    """Markdown, a table for each group, and what the numbers belong to."""
    told = {**found, "rows": None}
    lines = ["; ".join(f"{key} {value}" for key, value in told.items() if value is not None) + "."]
    for group, rows in itertools.groupby(found["rows"], key=lambda row: row["group"]):
        lines += ["", f"**{group}**", "", HEAD, "|---|---:|---:|---:|---|---:|"]
        for row in rows:
            floor = f"{row['floor_s']:.3g}" if row["floor_s"] > 1e-4 else "–"
            peak = f"{row['peak_mb']:.0f}" if row["peak_mb"] else "–"
            cells = f"{row['cpu_s']:.3g} | {row['ratio']:.3g} | {floor} | {row.get('next') or '–'}"
            lines.append(f"| {row['row']} | {cells} | {peak} |")
    return "\n".join(lines)


def picture(rows, path):
    """Bars of every group on a logarithmic axis, with the floors as ticks."""
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt
    from matplotlib.ticker import NullFormatter

    groups = list(dict.fromkeys(row["group"] for row in rows))
    heights = [sum(row["group"] == group for row in rows) for group in groups]
    size = (9, 0.36 * sum(heights) + 0.7 * len(groups))
    figure, axes = plt.subplots(len(groups), 1, figsize=size, height_ratios=heights, squeeze=False)
    for axis, group in zip(axes[:, 0], groups, strict=True):
        mine = [row for row in rows if row["group"] == group][::-1]
        colours = ["#2a6f97" if "sordino" in row["row"] else "#adb5bd" for row in mine]
        bars = axis.barh([row["row"] for row in mine], [row["cpu_s"] for row in mine], color=colours)
        axis.bar_label(bars, [f"{row['cpu_s']:.3g} s   {row['ratio']:.2g}" for row in mine], padding=3, fontsize=8)
        for height, row in enumerate(mine):
            if row["floor_s"] > 1e-4:
                axis.plot([row["floor_s"]] * 2, [height - 0.4, height + 0.4], color="black", linewidth=1.5)
        axis.set(xscale="log", title=group)
        axis.set_xlim(right=axis.get_xlim()[1] * 4)
        axis.xaxis.set_minor_formatter(NullFormatter())
        axis.title.set_fontsize(10)
        axis.tick_params(labelsize=8)
        axis.spines[["top", "right"]].set_visible(False)
    axes[-1, 0].set_xlabel("CPU seconds, one thread; the line is the floor by counted operations", fontsize=8)
    figure.tight_layout()
    figure.savefig(path, dpi=150)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--groups", nargs="*", default=[""], help="those whose title holds one of these words")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, help="write OUT.json and OUT.png")
    parser.add_argument("--serve", nargs=3, metavar=("GROUP", "ROW", "LOOKS"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.serve:
        return serve(*args.serve)
    from bench_rows import ROWS

    chosen = {group: names for group, names in ROWS.items() if any(word in group for word in args.groups)}
    rows = [row for group, names in chosen.items() for row in measure(group, list(names), args.rounds)]
    found = {**machine(), "rows": rows}
    print(tables(found))
    if args.out:
        args.out.with_suffix(".json").write_text(json.dumps(found, indent=1) + "\n")
        picture(rows, args.out.with_suffix(".png"))


if __name__ == "__main__":
    main()
