"""The rows of `bench.py`: each makes a function that is called again and again, and timed."""

import functools
import importlib.util
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import soundfile
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "unit" / "backbones"))

from sordino import audio, make_method, make_task
from sordino.adapter_file import save_adapter
from sordino.backbones import load_backbone
from sordino.backbones._musicfm_network import PUBLISHED_SIZE
from sordino.inference import predict
from sordino.model import Model
from sordino.pretrain.loop import usual_precision

RATE_HZ, DEPTH = 24_000, 6
UPPER = {"layers": "4-6"}


def noise(n_clips, seconds):
    return 0.1 * torch.randn(n_clips, round(RATE_HZ * seconds), generator=torch.Generator().manual_seed(0))


def step_of(logits, parameters):
    """A training step of 24 classes: forward, backward, AdamW (fused, as transformers' trainer has it too)."""
    optimiser = torch.optim.AdamW(parameters, lr=1e-5, fused=True)

    def step():
        found = logits()
        torch.nn.functional.cross_entropy(found, torch.zeros(len(found), dtype=torch.long)).backward()
        optimiser.step()
        optimiser.zero_grad()

    return step


def peer(lora):
    """MusicFM by transformers' conformer, as published; fully trained, or frozen with peft's LoRA inside."""
    from published import STATISTICS, PublishedMusicFM

    network = PublishedMusicFM(PUBLISHED_SIZE, DEPTH).train()
    if lora:
        from peft import LoraConfig, inject_adapter_in_model

        wanted = ["linear_q", "linear_k", "linear_v", "linear_out", "intermediate_dense", "output_dense",
                  "pointwise_conv1", "pointwise_conv2"]  # fmt: skip
        network.requires_grad_(False)
        network.conformer = inject_adapter_in_model(LoraConfig(r=2, target_modules=wanted), network.conformer)
    head, waveform = torch.nn.Linear(PUBLISHED_SIZE.dim, 24), noise(2, 10)

    def logits():
        with torch.no_grad():
            mel = network.preprocessor_melspec_2048(waveform)[..., :-1]
        x = (mel - STATISTICS["melspec_2048_mean"]) / STATISTICS["melspec_2048_std"]
        return head(network.conformer(network.conv(x)).last_hidden_state.mean(1))

    return step_of(logits, [p for p in (*network.parameters(), *head.parameters()) if p.requires_grad])


def ours(method, stored=True, backbone="musicfm", clips=2, **options):
    """A step of a method, from stored states or from the waveform."""
    given = {"weights": "random", "depth": DEPTH} if backbone == "musicfm" else {}
    network, waveform = load_backbone(backbone, **given), noise(clips, 10)
    model = Model(network, [make_task("key")], [make_method(method, **options)], {}, seed=0)
    constant, mask = model.constant(waveform) if stored else ({}, None)

    def logits():
        model.train()
        return model(*((constant, mask) if stored else model.constant(waveform)))["key"]

    return step_of(logits, [p for group in model.parameter_groups(1e-5) for p in group["params"]])


def encoded(route, name):
    """Hidden states of ten seconds."""
    from backbone_forward import load, write

    with tempfile.TemporaryDirectory() as folder:
        write(name, DEPTH, folder)
        forward = load(route, name, DEPTH, Path(folder))
    return functools.partial(forward, noise(1, 10))


@functools.cache
def recording():
    """A minute of noise in an MP3 file, 44.1 kHz, stereo."""
    path = Path(tempfile.mkdtemp()) / "noise.mp3"
    soundfile.write(path, 0.1 * np.random.default_rng(0).standard_normal((60 * 44_100, 2)), 44_100)
    return path


def read(route):
    """A minute of MP3 as mono at 24 kHz."""
    if route == "sordino":
        return lambda: audio.read(recording(), RATE_HZ)
    import librosa

    return lambda: librosa.load(recording(), sr=RATE_HZ, mono=True)


def mel(route):
    """Log-mel frames of a minute: 128 bands, 2048 / 240, as MusicFM reads them."""
    x = noise(1, 60)
    if route == "sordino":
        network = load_backbone("musicfm", weights="random", depth=1)
        return lambda: network.mel(x)
    import librosa

    return lambda: librosa.power_to_db(
        librosa.feature.melspectrogram(y=x[0].numpy(), sr=RATE_HZ, n_fft=2048, hop_length=240, n_mels=128, htk=True)
    )


@functools.cache
def beat_adapter():
    """A probe for beats, untrained."""
    network = load_backbone("mini")
    model = Model(network, [make_task("beat")], [make_method("probe")], {}, seed=0)
    return save_adapter(model, Path(tempfile.mkdtemp()) / "beat.adapter", {"name": "mini"}, network.fingerprint(), 10.0)


def beats(route):
    """Beats of a minute, from the file."""
    if route == "madmom":
        from madmom.features.beats import DBNBeatTrackingProcessor, RNNBeatProcessor

        network, decode = RNNBeatProcessor(), DBNBeatTrackingProcessor(fps=100)
        return lambda: decode(network(str(recording())))
    if route == "beat_this":
        from beat_this.inference import File2Beats

        track = File2Beats(device="cpu")
        return lambda: track(str(recording()))
    return lambda: predict([recording()], beat_adapter(), device="cpu")


def answers(method, n, backbone="mini", seconds=60):
    """Answers of many adapters on one file."""
    from predict_many import SPECS, Case, adapters, noise_file

    folder = Path(tempfile.mkdtemp())
    spec = SPECS[backbone]
    folders = adapters(folder, load_backbone(**spec), spec, method, n)
    return Case(folders, noise_file(folder / "noise.wav", seconds)).together


def program(*words):
    """A program of its own, from its start to its end."""
    return lambda: subprocess.run([sys.executable, *words], check=True, stdout=subprocess.DEVNULL)


def have(package):
    return importlib.util.find_spec(package) is not None


MUSICFM = {
    "transformers, full fine-tuning": lambda: peer(lora=False),
    "transformers + peft, LoRA": lambda: peer(lora=True),
    "sordino, LoRA, nothing stored": lambda: ours("lora", stored=False),
    "sordino, full fine-tuning of the layers": lambda: ours("finetune"),
    "sordino, LoRA": lambda: ours("lora"),
    "sordino, adapter": lambda: ours("adapter"),
    "sordino, upper three layers": lambda: ours("finetune", **UPPER),
    "sordino, side": lambda: ours("side"),
    "sordino, probe": lambda: ours("probe"),
}
MINI = {
    "sordino, full fine-tuning": lambda: ours("finetune", backbone="mini", clips=16),
    "sordino, LoRA": lambda: ours("lora", backbone="mini", clips=16),
    "sordino, adapter": lambda: ours("adapter", backbone="mini", clips=16),
    "sordino, BitFit": lambda: ours("bitfit", backbone="mini", clips=16),
    "sordino, probe": lambda: ours("probe", backbone="mini", clips=16),
}
BF16 = {  # where the processor multiplies it
    "in bfloat16, a step of training MusicFM, six layers, 2 x 10 s": MUSICFM,
    "in bfloat16, a step of training mini, 16 x 10 s": MINI,
} if usual_precision() == "bf16-mixed" else {}  # fmt: skip
ROWS = {  # by group and name; the first of a group is 1
    "a step of training MusicFM, six layers, 2 x 10 s": MUSICFM,
    "a step of training mini, 16 x 10 s": MINI,
    **BF16,
    "hidden states of 10 s, MusicFM, six layers": {
        "transformers": lambda: encoded("transformers", "musicfm"),
        "sordino": lambda: encoded("sordino", "musicfm"),
    },
    "hidden states of 10 s, MERT, six layers": {
        "transformers": lambda: encoded("transformers", "mert"),
        "sordino": lambda: encoded("sordino", "mert"),
    },
    "answers of many adapters on a minute, mini": {
        "sordino, 1 probe": lambda: answers("probe", 1),
        "sordino, 64 probes": lambda: answers("probe", 64),
        "sordino, 1 LoRA": lambda: answers("lora", 1),
        "sordino, 8 LoRA": lambda: answers("lora", 8),
    },
    "answers of many adapters on 10 s, MusicFM, six layers": {
        "sordino, 1 LoRA": lambda: answers("lora", 1, "musicfm", 10),
        "sordino, 8 LoRA": lambda: answers("lora", 8, "musicfm", 10),
    },
    "reading a minute of MP3 at 24 kHz": {"librosa": lambda: read("librosa"), "sordino": lambda: read("sordino")},
    "log-mel frames of a minute": {"librosa": lambda: mel("librosa"), "sordino": lambda: mel("sordino")},
    "beats of a minute, from the file": {
        "sordino, mini and a probe": lambda: beats("sordino"),
        **({"madmom": lambda: beats("madmom")} if have("madmom") else {}),
        **({"beat_this": lambda: beats("beat_this")} if have("beat_this") else {}),
    },
    "at the door: whole programs": {
        "import torch": lambda: program("-c", "import torch"),
        "import torch, lightning_fabric": lambda: program("-c", "import lightning_fabric"),
        "import sordino.training.run": lambda: program("-c", "import sordino.training.run"),
        "sordino --help": lambda: program("-m", "sordino", "--help"),
        "sordino list": lambda: program("-m", "sordino", "list"),
        "sordino show lora": lambda: program("-m", "sordino", "show", "lora"),
        "sordino predict, a minute of MP3": lambda: program(
            "-m", "sordino", "predict", recording(), "--adapter", beat_adapter()
        ),
    },
}
