"""An encoder of the Hub that comes with code of its own, run because the user says so (`remote_code`).

The network is opened (`_opened.py`) and its layers run one by one. What comes out is compared with the network itself
when it is loaded; a network that cannot be opened so is refused. Its layers have the sites that their names tell:
projections, feed-forwards, norms; none inside attention or behind sublayers (prefixes, adapters).

Differs: clips of unequal length go through the layers in groups of one length, so that no mask is needed; prompts enter
    behind the frontend, and so behind positions that it adds.
"""

from __future__ import annotations

import hashlib
import inspect
import json
from bisect import bisect_left
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from sordino import hub
from sordino.backbones._opened import Call, Mark, Reached, find_layers, sites_of, watch
from sordino.backbones._repository import CONFIG, PREPROCESSOR, Files
from sordino.backbones._weights import build_random, n_to_build
from sordino.contracts import Backbone, Site
from sordino.rules import Count
from sordino.sites import Tap

SAME = 1e-3  # of the largest value: how far states may be from those of the network itself
TRIED_S = (1.0, 1.3703, 2.7119)  # lengths for which the rate of frames is tried
RATES = ("sampling_rate", "sample_rate")  # keys under which files tell it


class RemoteLayer(nn.Module):
    """A layer of somebody else's.

    Args:
        inner: the layer.
        call: how it is called.
    """

    def __init__(self, inner: nn.Module, call: Call):
        super().__init__()
        self.tokens = Tap()
        self.inner, self.call = inner, call

    def forward(
        self, x: Float[Tensor, "batch token dim"], mask: Bool[Tensor, "batch token"] | None, n_prompt: int = 0
    ) -> Float[Tensor, "batch token dim"]:
        """The layer over tokens, of which the first `n_prompt` are prompts; clips of one length together."""
        x, _ = self.tokens(x, n_prompt)
        if mask is None:
            return self.call(self.inner, x)
        lengths = mask.sum(1)
        found = {int(n): self.call(self.inner, x[lengths == n, :n]) for n in lengths.unique()}
        whole = x.new_zeros(x.shape, dtype=next(iter(found.values())).dtype)
        for n, states in found.items():
            whole[lengths == n, :n] = states
        return whole

    def sites(self, path: str, layer: int) -> list[Site]:
        """Its sites, in the order in which they are passed."""
        return list(sites_of(self.inner, self.call.order, f"{path}.inner", layer))


class RemoteEncoder(Backbone):
    """The encoder; see the module's header.

    Args:
        network: from waveform to whatever it gives, in evaluation mode.
        sample_rate_hz: of the waveform.
        normalise: bring each clip to mean 0 and variance 1 first.
        depth: how many layers to keep; None for all.

    Raises:
        ValueError: it cannot be opened; says why.
    """

    name = "huggingface"
    hop_samples = 1

    def __init__(self, network: nn.Module, sample_rate_hz: int, normalise: bool, depth: int | None = None):
        super().__init__()
        self.sample_rate_hz, self.normalise = sample_rate_hz, normalise
        noise = 0.1 * torch.randn(2, sample_rate_hz, generator=torch.Generator().manual_seed(0))
        path = find_layers(network)
        seen = watch(network, self.levelled(noise), path)
        inner = list(network.get_submodule(path).children())
        n_layers = n_to_build(self.name, depth, len(inner))
        self.final = network.get_submodule(seen.final) if seen.final else nn.Identity()
        if seen.final:
            _put(network, seen.final, nn.Identity())
        _put(network, path, nn.ModuleList([Mark()]))
        self.network, self.place, self.dim = network, seen.calls[0].place, seen.states[0].shape[2]
        self.layers = nn.ModuleList(map(RemoteLayer, inner[:n_layers], seen.calls))
        self.shift_samples, self.shortest_samples = 0, 1
        self._find_rate()
        with torch.no_grad():
            ours = self.encode(self.frontend(noise), stop=n_layers)
        for number, theirs in enumerate(seen.states if n_layers == len(inner) else seen.states[:n_layers]):
            if float((ours[number] - theirs).abs().max()) > SAME * float(theirs.abs().max()):
                raise ValueError(f"layer by layer it gives another hidden state {number} than as a whole")

    @classmethod
    def load(
        cls,
        weights: str | Path | None = None,
        depth: Count | None = None,
        model: str = "",
        normalise: bool | None = None,
    ) -> RemoteEncoder:
        """Run the code of a repository, and open the network that it makes; see `HubEncoder.load`.

        Raises:
            ImportError: transformers is not installed.
            FileNotFoundError: the repository, or its configuration, is not here and cannot be had.
            ValueError: no file says at which rate it hears, its code fails, or the network cannot be opened.
        """
        try:
            from transformers import AutoConfig, AutoModel
        except ImportError as error:
            raise ImportError("remote_code wants transformers: pip install 'sordino[remote]'") from error
        untrained = str(weights).partition(":")[0] == "random"
        files = Files.named(model, weights)
        config, heard = files.said()
        rate_hz = next((said[key] for said in (heard, config) for key in RATES if said.get(key)), None)
        if rate_hz is None:
            raise ValueError(
                f"{files}: neither {CONFIG} nor {PREPROCESSOR} says at which rate it hears (sampling_rate)"
            )
        where, revision = hub.parse(model) if files.folder is None else (str(files.folder), None)
        options: dict[str, Any] = {"revision": revision, "trust_remote_code": True}
        normed = heard.get("do_normalize", False) if normalise is None else normalise

        def make() -> RemoteEncoder:
            if untrained:
                told = AutoConfig.from_pretrained(where, **options)
                network: Any = AutoModel.from_config(told, trust_remote_code=True)
            else:
                network = AutoModel.from_pretrained(where, **options)
            code = hashlib.sha256(json.dumps(config, sort_keys=True).encode())
            for path in sorted(Path(inspect.getfile(type(network))).parent.glob("*.py")):
                code.update(path.read_bytes())
            made = cls(network.float().eval(), rate_hz, normed, depth)
            made.weights, made.states_depend_on = str(files), f"{code.hexdigest()[:16]} {normed=}"
            return made

        try:
            built = build_random(make, weights) or make()
        except Exception as error:  # whatever its code raises
            raise ValueError(f"{files}: its code gives no encoder that can be opened: {str(error)[:200]}") from error
        built.freeze()
        return built

    @classmethod
    def tiny(cls, seed: int = 0) -> RemoteEncoder:
        """None: how large it is is said by the code."""
        raise NotImplementedError("code of a repository has no miniature")

    def levelled(self, waveform: Float[Tensor, "batch time"]) -> Float[Tensor, "batch time"]:
        """The waveform as the network wants it."""
        if not self.normalise:
            return waveform
        variance, mean = torch.var_mean(waveform, 1, correction=0, keepdim=True)
        return (waveform - mean) / (variance + 1e-7).sqrt()

    def reach(self, waveform: Float[Tensor, "batch time"]) -> Float[Tensor, "batch frame dim"]:
        """What the network gives to its first layer."""
        try:
            self.network(self.levelled(waveform))
        except Reached as reached:
            return reached.call[self.place]
        raise ValueError("its layers are not reached")

    @torch.no_grad()
    def _find_rate(self) -> None:
        """Find out how many samples lie between two frames, and how many the first one wants.

        Raises:
            ValueError: frames do not come at an even rate.
        """

        def count(n_samples: int) -> int:
            with suppress(Exception):  # whatever its code raises where a clip is too short
                return self.reach(torch.zeros(1, n_samples)).shape[1]
            return 0

        def shortest(n_frames: int, most: int) -> int:
            return bisect_left(range(most), n_frames, lo=1, key=count)

        half = count(self.sample_rate_hz) // 2
        begin, end = (shortest(n_frames, self.sample_rate_hz) for n_frames in (half, half + 1))
        self.hop_samples = end - begin
        self.shift_samples, self.shortest_samples = begin - half * self.hop_samples, shortest(1, begin + 1)
        tried = [round(seconds * self.sample_rate_hz) for seconds in TRIED_S]
        if half < 1 or self.hop_samples < 1 or any(count(n) != self.n_frames(n) for n in tried):
            raise ValueError("its frames do not come at an even rate (patches, or tokens of the whole clip?)")

    def n_frames(self, n_samples: int) -> int:
        """As many as its frontend was found to give."""
        return max(1, (max(n_samples, self.shortest_samples) - self.shift_samples) // self.hop_samples)

    def extract(self, waveform: Float[Tensor, "batch time"]) -> Float[Tensor, "batch frame dim"]:
        """All that comes before the first layer; silence behind what is too short."""
        return self.reach(F.pad(waveform, (0, max(0, self.shortest_samples - waveform.shape[1]))))

    def finish(self, x: Float[Tensor, "batch frame dim"]) -> Tensor:
        """The final norm, where there is one."""
        return self.final(x)


def _put(network: nn.Module, path: str, module: nn.Module) -> None:
    """Put a module into the place of another."""
    parent, _, name = path.rpartition(".")
    setattr(network.get_submodule(parent), name, module)
