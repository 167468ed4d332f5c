"""MuQ: MusicFM's network, with its size and statistics from `config.json`."""

import json

import pytest
import torch
from published import STATISTICS, PublishedMusicFM, shake
from safetensors.torch import save_file

from sordino.backbones import load_backbone, muq
from sordino.backbones._musicfm_network import Size

SMALL = Size(n_layers=3, dim=32, n_heads=4, dim_inner=48, kernel_size=31, channels=6, n_mels=128)
CONFIG = {
    "label_rate": 25,
    "encoder_depth": SMALL.n_layers,
    "encoder_dim": SMALL.dim,
    "conv_dim": SMALL.channels,
    "n_mels": SMALL.n_mels,
    "stat": STATISTICS,
    "use_rvq_target": True,
    "w2v2_config": {
        "num_attention_heads": SMALL.n_heads,
        "intermediate_size": SMALL.dim_inner,
        "conv_depthwise_kernel_size": SMALL.kernel_size,
        "position_embeddings_type": "rotary",
        "hidden_act": "swish",
    },
}


@pytest.mark.parametrize("depth", [None, 2])
def test_every_hidden_state_equals_the_published_one(tmp_path, music, depth):
    torch.manual_seed(1)
    published = shake(PublishedMusicFM(SMALL))
    tensors = {f"model.{n}": v for n, v in published.state_dict().items() if not n.startswith("preprocessor")}
    tensors |= {
        "model.rvq.quantizers.0.codebook.weight": torch.zeros(4, 2),
        "model.linear.weight": torch.zeros(9, 32),
    }
    save_file(tensors, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    ours = load_backbone("muq", weights=tmp_path, depth=depth)
    theirs = PublishedMusicFM(SMALL, depth).eval()
    theirs.load_state_dict(published.state_dict(), strict=False)
    for ours_k, theirs_k in zip(ours(music(30_123)), theirs(music(30_123)), strict=True):
        torch.testing.assert_close(ours_k, theirs_k, rtol=0, atol=1e-4)


def test_a_network_of_another_kind_is_refused():
    with pytest.raises(ValueError, match="label_rate = 50 is not supported"):
        muq.read_size({**CONFIG, "label_rate": 50})
    with pytest.raises(ValueError, match="position_embeddings_type = 'relative' is not supported"):
        muq.read_size({**CONFIG, "w2v2_config": {"position_embeddings_type": "relative"}})


def test_what_the_configuration_leaves_out_is_as_published():
    assert muq.read_size({"stat": STATISTICS}) == Size()
