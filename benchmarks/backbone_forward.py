"""Forward time and peak memory of our backbones beside the transformers route, in one run.

Both have random weights of full size (ours from a file in the published format) and take turns on the same
clip, so that whatever else the machine does falls on both. Times (elapsed, and spent by all cores together) are
medians of the rounds; memory is the most that the whole process held during a forward, weights and libraries
included.

    python benchmarks/backbone_forward.py                       # MusicFM and MERT, depth 6, 10 s, float32
    python benchmarks/backbone_forward.py --models musicfm --seconds 30 --depth 12
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "unit" / "backbones"))


def status_mb(key):
    """A line of this process's memory status, in MB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(key)) / 1024


def build_published(model, depth):
    """The transformers route with random weights."""
    import torch
    from published import PublishedMusicFM, published_mert

    from sordino.backbones import _musicfm_network, mert

    torch.manual_seed(0)
    if model == "musicfm":
        return PublishedMusicFM(_musicfm_network.PUBLISHED_SIZE, depth).eval()
    return published_mert(mert.SIZES["95m"], depth, attention="sdpa").eval()


def write(model, depth, folder):
    """A file in the published format."""
    from published import write_mert, write_musicfm

    (write_musicfm if model == "musicfm" else write_mert)(build_published(model, depth), Path(folder))


def load(route, model, depth, folder):
    """A function from waveform to hidden states."""
    import torch

    from sordino.backbones import load_backbone

    if route == "sordino":
        backbone = load_backbone(model, weights=folder, depth=depth, **size_option(model, depth))
        return torch.no_grad()(backbone)
    theirs = build_published(model, depth)
    if model == "musicfm":
        return theirs
    norm = torch.nn.functional.layer_norm
    return torch.no_grad()(lambda x: theirs(norm(x, x.shape[1:]), output_hidden_states=True).hidden_states)


def size_option(model, depth):
    """MusicFM's files do not say how deep they are."""
    from sordino.backbones import _musicfm_network

    return {"size": _musicfm_network.Size(n_layers=depth)} if model == "musicfm" else {}


def serve(route, model, depth, seconds, folder):
    """In a process of its own: one forward for each line that comes in."""
    import torch

    forward = load(route, model, depth, folder)
    waveform = 0.1 * torch.randn(1, round(24_000 * seconds), generator=torch.Generator().manual_seed(0))
    print("ready", flush=True)
    for _ in sys.stdin:
        Path("/proc/self/clear_refs").write_text("5")  # forget the highest level so far
        start, cpu_start = time.perf_counter(), time.process_time()
        forward(waveform)
        result = {"s": time.perf_counter() - start, "cpu_s": time.process_time() - cpu_start}
        print(json.dumps({**result, "peak_mb": status_mb("VmHWM")}), flush=True)


def compare(model, depth, seconds, rounds, folder):
    """Both routes in turns; one row each."""
    command = [sys.executable, __file__, "--depth", str(depth), "--seconds", str(seconds), "--folder", folder]
    subprocess.run([*command, "--write", model], check=True)
    routes = {
        route: subprocess.Popen(
            [*command, "--serve", route, model], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for route in ("transformers", "sordino")
    }
    for process in routes.values():
        process.stdout.readline()
    results = {route: [] for route in routes}
    for number in range(rounds + 1):
        for route, process in routes.items():
            process.stdin.write("go\n")
            process.stdin.flush()
            result = json.loads(process.stdout.readline())
            if number:  # the first one warms up
                results[route].append(result)
    for route, process in routes.items():
        process.stdin.close()
        process.wait()
        time_s, cpu_s = (statistics.median(r[key] for r in results[route]) for key in ("s", "cpu_s"))
        peak_mb = max(r["peak_mb"] for r in results[route])
        print(
            f"{model:8} depth {depth:2} {seconds:g} s  {route:12} {time_s:7.3f} s  "
            f"processor {cpu_s:7.3f} s  peak {peak_mb:6.0f} MB",
            flush=True,
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", default=["musicfm", "mert"], choices=["musicfm", "mert"])
    parser.add_argument("--depth", type=int, default=6)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--write", metavar="MODEL", help=argparse.SUPPRESS)
    parser.add_argument("--serve", nargs=2, metavar=("ROUTE", "MODEL"), help=argparse.SUPPRESS)
    parser.add_argument("--folder", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.write:
        write(arguments.write, arguments.depth, arguments.folder)
    elif arguments.serve:
        serve(*arguments.serve, arguments.depth, arguments.seconds, arguments.folder)
    else:
        print(f"float32, {os.cpu_count()} cores, median of {arguments.rounds} rounds after one to warm up")
        for model in arguments.models:
            with tempfile.TemporaryDirectory() as folder:
                compare(model, arguments.depth, arguments.seconds, arguments.rounds, folder)


if __name__ == "__main__":
    main()
