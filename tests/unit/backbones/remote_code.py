"""A repository that carries its own code: a small encoder that nobody but its file knows."""

import json

import torch
from safetensors.torch import save_file

CONFIG = {
    "model_type": "stranger",
    "architectures": ["Stranger"],
    "auto_map": {"AutoConfig": "modelling.StrangerConfig", "AutoModel": "modelling.Stranger"},
    "sampling_rate": 8_000,
    "width": 16,
    "n_layers": 3,
}
CODE = """
import torch
from torch import nn
from transformers import PretrainedConfig, PreTrainedModel
from transformers.modeling_outputs import BaseModelOutput


class StrangerConfig(PretrainedConfig):
    model_type = "stranger"

    def __init__(self, width=16, n_layers=3, **options):
        super().__init__(**options)
        self.width, self.n_layers = width, n_layers


class Attention(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.to_q, self.to_k, self.to_v, self.to_out = (nn.Linear(width, width) for _ in range(4))

    def forward(self, x, hidden):
        q, k, v = (part(x).unflatten(2, (2, -1)).transpose(1, 2) for part in (self.to_q, self.to_k, self.to_v))
        mixed = nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=hidden)
        return self.to_out(mixed.transpose(1, 2).flatten(2))


class Block(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attn, self.fc1, self.fc2 = Attention(width), nn.Linear(width, 24), nn.Linear(24, width)

    def forward(self, x, hidden=None, scale=1.0):
        x = x + self.attn(self.norm1(x), hidden)
        return x + scale * self.fc2(nn.functional.gelu(self.fc1(self.norm2(x)))), None


class Stranger(PreTrainedModel):
    config_class = StrangerConfig

    def __init__(self, config):
        super().__init__(config)
        self.front = nn.ModuleList(nn.Conv1d(n, config.width, 10, 5) for n in (1, config.width, config.width))
        self.blocks = nn.ModuleList(Block(config.width) for _ in range(config.n_layers))
        self.last_norm = nn.LayerNorm(config.width)
        self.post_init()

    def forward(self, wav, output_hidden_states=False):
        x = wav[:, None]
        for conv in self.front:
            x = nn.functional.gelu(conv(x))
        x = x.transpose(1, 2)
        x = x + torch.linspace(0, 1, x.shape[1])[:, None]
        states, hidden = [x], x.new_zeros(len(x), 1, x.shape[1], x.shape[1])
        for block in self.blocks:
            x, _ = block(x, hidden=hidden, scale=0.5)
            states.append(x)
        x = states[-1] = self.last_norm(x)
        return BaseModelOutput(last_hidden_state=x, hidden_states=tuple(states) if output_hidden_states else None)
"""


def write(folder, code=CODE, seed=1, **changes):
    """The repository, with random weights; and the network as its own code makes it."""
    from transformers import AutoConfig, AutoModel

    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(CONFIG | changes))
    (folder / "modelling.py").write_text(code)
    torch.manual_seed(seed)
    model = AutoModel.from_config(AutoConfig.from_pretrained(folder, trust_remote_code=True), trust_remote_code=True)
    for value in model.parameters():
        torch.nn.init.normal_(value, std=0.2)
    save_file(
        {k: v.contiguous() for k, v in model.state_dict().items()}, folder / "model.safetensors", {"format": "pt"}
    )
    return model.eval()
