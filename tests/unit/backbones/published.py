"""Plain reimplementations of the published networks, and files in the published format, for comparison.

The encoders are those of transformers; the mel and the convolutional frontend are written out here.
"""

import json

import torch
from torch import nn
from transformers import HubertConfig, HubertModel
from transformers.models.wav2vec2_conformer.configuration_wav2vec2_conformer import Wav2Vec2ConformerConfig
from transformers.models.wav2vec2_conformer.modeling_wav2vec2_conformer import Wav2Vec2ConformerEncoder

STATISTICS = {"melspec_2048_mean": 6.768444971712967, "melspec_2048_std": 18.417922652295623}


class Mel(nn.Module):
    """The tensors of the published mel, filled from librosa."""

    def __init__(self, n_mels):
        import librosa

        super().__init__()
        filters = librosa.filters.mel(sr=24_000, n_fft=2048, n_mels=n_mels, htk=True, norm=None)
        self.mel_stft = nn.Module()
        self.mel_stft.spectrogram, self.mel_stft.mel_scale = nn.Module(), nn.Module()
        self.mel_stft.spectrogram.register_buffer("window", torch.hann_window(2048))
        self.mel_stft.mel_scale.register_buffer("fb", torch.from_numpy(filters).T.contiguous())

    def forward(self, waveform):
        window, filters = self.mel_stft.spectrogram.window, self.mel_stft.mel_scale.fb
        spectrum = torch.stft(waveform, 2048, 240, window=window, center=True, return_complex=True)
        return 10 * torch.log10(torch.clamp(filters.T @ spectrum.abs() ** 2, min=1e-10))


class Block(nn.Module):
    def __init__(self, channels_in, channels):
        super().__init__()
        for number, (before, stride) in enumerate([(channels_in, 2), (channels, 1), (channels_in, 2)], start=1):
            self.add_module(f"conv{number}", nn.Conv2d(before, channels, 3, stride, padding=1))
            self.add_module(f"bn{number}", nn.BatchNorm2d(channels))

    def forward(self, x):
        inner = torch.relu(self.bn1(self.conv1(x)))
        return torch.relu(self.bn2(self.conv2(inner)) + self.bn3(self.conv3(x)))


class Convs(nn.Module):
    def __init__(self, n_mels, channels, dim):
        super().__init__()
        self.conv = nn.Sequential(Block(1, channels), Block(channels, channels))
        self.linear = nn.Linear(channels * n_mels // 4, dim)

    def forward(self, x):
        return self.linear(self.conv(x[:, None]).flatten(1, 2).transpose(1, 2))


class PublishedMusicFM(nn.Module):
    """MusicFM with all its tensors, those of pretraining too."""

    def __init__(self, size, depth=None):
        super().__init__()
        self.cls_token = nn.Parameter(torch.randn(size.dim))
        self.preprocessor_melspec_2048 = Mel(size.n_mels)
        self.quantizer_melspec_2048_0 = nn.Module()
        self.quantizer_melspec_2048_0.register_buffer("random_projection", torch.randn(4 * size.n_mels, 16))
        self.quantizer_melspec_2048_0.register_buffer("codebook", torch.randn(64, 16))
        self.conv = Convs(size.n_mels, size.channels, size.dim)
        config = Wav2Vec2ConformerConfig(
            hidden_size=size.dim,
            num_hidden_layers=depth or size.n_layers,
            num_attention_heads=size.n_heads,
            intermediate_size=size.dim_inner,
            conv_depthwise_kernel_size=size.kernel_size,
            hidden_act="swish",
            position_embeddings_type="rotary",
            num_conv_pos_embedding_groups=2 if size.dim < 64 else 16,
        )
        self.conformer = Wav2Vec2ConformerEncoder(config)
        self.linear = nn.Linear(size.dim, 64)

    @torch.no_grad()
    def forward(self, waveform):
        mel = self.preprocessor_melspec_2048(waveform)[..., :-1]
        x = (mel - STATISTICS["melspec_2048_mean"]) / STATISTICS["melspec_2048_std"]
        return self.conformer(self.conv(x), output_hidden_states=True).hidden_states


def published_mert(size, depth=None, attention="eager"):
    """The transformers model of a size, with MERT's settings."""
    config = HubertConfig(
        hidden_size=size.hidden_size,
        num_hidden_layers=depth or size.num_hidden_layers,
        num_attention_heads=size.num_attention_heads,
        intermediate_size=size.intermediate_size,
        conv_dim=size.conv_dim,
        conv_kernel=size.conv_kernel,
        conv_stride=size.conv_stride,
        num_conv_pos_embeddings=size.num_conv_pos_embeddings,
        num_conv_pos_embedding_groups=size.num_conv_pos_embedding_groups,
        do_stable_layer_norm=size.do_stable_layer_norm,
        mask_time_prob=0.05,
    )
    config._attn_implementation = attention
    return HubertModel(config)


@torch.no_grad()
def shake(model, seed=0):
    """Random statistics, gains and biases where a fresh network has zeros and ones."""
    generator = torch.Generator().manual_seed(seed)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.3, generator=generator)
            module.running_var.uniform_(0.5, 2, generator=generator)
        if (
            isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d | nn.LayerNorm | nn.GroupNorm)
            and module.weight is not None
        ):
            module.weight.uniform_(0.5, 1.5, generator=generator)
            module.bias.normal_(0, 0.3, generator=generator)
    return model.eval()


def old_names(tensors):
    """The names that weight-normed convolutions had when the models were published."""
    new = {"parametrizations.weight.original0": "weight_g", "parametrizations.weight.original1": "weight_v"}
    renamed = {}
    for name, value in tensors.items():
        for part, old in new.items():
            name = name.replace(part, old)
        renamed[name] = value
    return renamed


def write_musicfm(model, folder, variant="msd"):
    """Both files, as on the Hub: names under `model.`, the counters of the batch norms as floats."""
    tensors = {f"model.{name}": value for name, value in old_names(model.state_dict()).items()}
    tensors = {n: v.float() if n.endswith("num_batches_tracked") else v for n, v in tensors.items()}
    torch.save({"state_dict": tensors}, folder / f"pretrained_{variant}.pt")
    (folder / f"{variant}_stats.json").write_text(json.dumps(STATISTICS))
    return folder / f"pretrained_{variant}.pt"


def write_mert(model, folder, do_normalize=True):
    """The three files, as on the Hub."""
    torch.save(old_names(model.state_dict()), folder / "pytorch_model.bin")
    config = model.config.to_dict() | {"attention_relax": 32.0, "feature_extractor_cqt": False}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "preprocessor_config.json").write_text(json.dumps({"do_normalize": do_normalize}))
    return folder / "pytorch_model.bin"
