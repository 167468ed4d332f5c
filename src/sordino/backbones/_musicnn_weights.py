"""musicnn's published weights: where the wheel is, what its tensors are called, and its tag layers as a head."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from sordino.backbones._musicnn_network import EPS, Size
from sordino.backbones._tensorflow_checkpoint import data_file, read_checkpoint
from sordino.backbones._weights import read_tensors
from sordino.backbones._wheel import InWheel

DATA = ".data-00000-of-00001"
VARIANTS = {
    "msd": InWheel(
        "musicnn (msd)",
        "musicnn",
        "0.1.0",
        {
            "musicnn/MSD_musicnn/.index": "87f3e0f3550c8d3bafc840374003e5c8af5eeb5ecf6add61af09a7822d3282c8",
            f"musicnn/MSD_musicnn/{DATA}": "8579734ee6388f799ed0def4bbd0d1fdcbeaf213ef2a9dc860917bd76a303de6",
        },
        "ISC",
        "sordino fetch musicnn",
    ),
    "mtt": InWheel(
        "musicnn (mtt)",
        "musicnn",
        "0.1.0",
        {
            "musicnn/MTT_musicnn/.index": "da2d7bb670b2b31e9bc441bb1bd75eca31b5b061f963cc1f9630c1aff3238f57",
            f"musicnn/MTT_musicnn/{DATA}": "041f3935e981a65cea739842d30c188d3a7d2adf4410955c8668eb3de4a5acab",
        },
        "ISC",
        "sordino fetch musicnn variant=mtt",
    ),
}
TAGS = {
    "msd": [
        "rock", "pop", "alternative", "indie", "electronic", "female vocalists", "dance", "00s", "alternative rock",
        "jazz", "beautiful", "metal", "chillout", "male vocalists", "classic rock", "soul", "indie rock", "Mellow",
        "electronica", "80s", "folk", "90s", "chill", "instrumental", "punk", "oldies", "blues", "hard rock",
        "ambient", "acoustic", "experimental", "female vocalist", "guitar", "Hip-Hop", "70s", "party", "country",
        "easy listening", "sexy", "catchy", "funk", "electro", "heavy metal", "Progressive rock", "60s", "rnb",
        "indie pop", "sad", "House", "happy",
    ],
    "mtt": [
        "guitar", "classical", "slow", "techno", "strings", "drums", "electronic", "rock", "fast", "piano", "ambient",
        "beat", "violin", "vocal", "synth", "female", "indian", "opera", "male", "singing", "vocals", "no vocals",
        "harpsichord", "loud", "quiet", "flute", "woman", "male vocal", "no vocal", "pop", "soft", "sitar", "solo",
        "man", "classic", "choir", "voice", "new age", "dance", "male voice", "female vocal", "beats", "harp",
        "cello", "no voice", "weird", "country", "metal", "female voice", "choral",
    ],
}  # fmt: skip
NOTICE = """Licence (ISC) of the layers and of the backbone's weights:

Copyright (c) Music Technology Group, Universitat Pompeu Fabra 2019. Code developed by Jordi Pons (www.jordipons.me).

Permission to use, copy, modify, and/or distribute this software for any purpose with or without fee is hereby granted,
provided that the above copyright notice and this permission notice appear in all copies.

THE SOFTWARE IS PROVIDED "AS IS" AND THE AUTHOR DISCLAIMS ALL WARRANTIES WITH REGARD TO THIS SOFTWARE INCLUDING ALL
IMPLIED WARRANTIES OF MERCHANTABILITY AND FITNESS. IN NO EVENT SHALL THE AUTHOR BE LIABLE FOR ANY SPECIAL, DIRECT,
INDIRECT, OR CONSEQUENTIAL DAMAGES OR ANY DAMAGES WHATSOEVER RESULTING FROM LOSS OF USE, DATA OR PROFITS, WHETHER IN AN
ACTION OF CONTRACT, NEGLIGENCE OR OTHER TORTIOUS ACTION, ARISING OUT OF OR IN CONNECTION WITH THE USE OR PERFORMANCE OF
THIS SOFTWARE."""
PATCH_S = 187 * 256 / 16_000  # what the tags were trained on
N_TOP_TAGS = 3  # how many the original names
OPTIMISER = ("/Adam", "/Adam_1")  # what follows a name in the optimiser's slots
STEPS = ("beta1_power", "beta2_power")
POOL_NORM, DENSE, DENSE_NORM, OUT = "batch_normalization_9", "dense", "batch_normalization_10", "dense_1"
TAG_LAYERS = tuple(f"{name}.*" for name in (POOL_NORM, DENSE, DENSE_NORM, OUT))  # not of the trunk
KINDS = {"gamma": "weight", "beta": "bias", "moving_mean": "running_mean", "moving_variance": "running_var",
         "kernel": "weight", "bias": "bias"}  # fmt: skip


def read_weights(source: InWheel, weights: str | Path | None, variant: str) -> dict[str, Tensor]:
    """The tensors of the published checkpoint or of another one, by TensorFlow's names with dots for slashes.

    They are read through a safetensors copy in the cache, without what only training needed.

    Args:
        source: the wheel.
        weights: None for the wheel's; else a path, see `find_checkpoint`.
        variant: which of a wheel's.
    """
    path = source.locate() if weights is None else find_checkpoint(Path(weights), variant)
    if path.suffix == ".safetensors":
        return read_tensors(path)
    data = data_file(path)
    if not data.is_file():
        raise FileNotFoundError(f"{data} is missing; it belongs to {path}")
    return read_tensors(data, read=lambda _: _without_optimiser(path), beside=False)


def _without_optimiser(index: Path) -> dict[str, Tensor]:
    found = read_checkpoint(index, lambda name: not name.endswith(OPTIMISER) and name not in STEPS)
    return {name.replace("/", "."): value for name, value in found.items()}


def find_checkpoint(path: Path, variant: str) -> Path:
    """The `.index` or `.safetensors` file that a path means.

    Args:
        path: one of these files, an unpacked or installed wheel, the folder of one variant, or a checkpoint's prefix.
        variant: which of a wheel's.

    Raises:
        FileNotFoundError: there is none.
    """
    name = f"{variant.upper()}_musicnn"
    places = [path / "musicnn" / name / ".index", path / name / ".index", path / ".index"]
    itself = [path] if path.name.endswith((".safetensors", ".index")) else []
    places += [path.with_name(f"{path.name}.index"), *itself]
    found = next((place for place in places if place.is_file()), None)
    if found is None:
        raise FileNotFoundError(
            f"{path}: no weights of musicnn here; give the folder of the wheel or of one of its checkpoints, "
            "a checkpoint's prefix, or a .safetensors copy of one"
        )
    return found


def trunk(tensors: Mapping[str, Tensor], size: Size) -> dict[str, Tensor]:
    """The tensors by the network's own names; those of the tag layers and unknown ones stay as they are."""
    places = {"batch_normalization": "layers.0.mel_norm"}
    n_front = len(size.timbral) + len(size.temporal_frames)
    for number in range(n_front):
        places[_numbered("conv2d", number)] = f"layers.0.convs.{number}"
        places[f"batch_normalization_{number + 1}"] = f"layers.0.norms.{number}"
    for number in range(3):
        places[_numbered("conv2d", n_front + number)] = f"layers.{number + 1}.conv"
        places[f"batch_normalization_{n_front + number + 1}"] = f"layers.{number + 1}.norm"
    named = {}
    for name, value in tensors.items():
        module, _, kind = name.rpartition(".")
        if module not in places:
            named[name] = value
            continue
        named[f"{places[module]}.{KINDS.get(kind, kind)}"] = _turned(places[module], kind, value)
        if kind == "moving_mean":
            named[f"{places[module]}.num_batches_tracked"] = torch.tensor(0)
    return named


def _numbered(name: str, number: int) -> str:
    """TensorFlow's name of the layer that was made as number `number`."""
    return f"{name}_{number}" if number else name


def _turned(place: str, kind: str, value: Tensor) -> Tensor:
    """A kernel [frame mel in out] as ours: [out in frame mel], [out in frame] for those that see all channels."""
    if kind != "kernel" or value.dim() != 4:
        return value
    turned = value.permute(3, 2, 0, 1) if ".convs." in place else value[:, :, 0].permute(2, 1, 0)
    return turned.contiguous()


def tag_head(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tag layers as the tensors of a `Head` with `pool = "mean_max"` and their hidden width.

    The norms stand in front of linear layers and go into them. The original interleaves maximum and mean of each
    channel; ours has all means, then all maxima.
    """
    exact = {name: value.double() for name, value in tensors.items()}
    n_channels = exact[f"{POOL_NORM}.gamma"].shape[0] // 2
    order = torch.arange(2 * n_channels).reshape(n_channels, 2).flip(1).T.flatten()
    found = {}
    for place, norm, layer, rows in (("mlp.0", POOL_NORM, DENSE, order), ("mlp.3", DENSE_NORM, OUT, slice(None))):
        scale = exact[f"{norm}.gamma"] / (exact[f"{norm}.moving_variance"] + EPS).sqrt()
        shift = exact[f"{norm}.beta"] - scale * exact[f"{norm}.moving_mean"]
        weight = exact[f"{layer}.kernel"].T
        found[f"{place}.weight"] = (weight * scale)[:, rows].float().contiguous()
        found[f"{place}.bias"] = (exact[f"{layer}.bias"] + weight @ shift).float()
    return found
