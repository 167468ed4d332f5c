import pytest
import torch


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    """No test reads or writes the user's caches, and none goes to the network."""
    from huggingface_hub import constants

    monkeypatch.setenv("SORDINO_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)


@pytest.fixture
def music():
    """Two clips of noise with a slow swell, [batch time], of any length in samples."""

    def make(n_samples, n_clips=2):
        generator = torch.Generator().manual_seed(n_samples)
        swell = 0.55 + 0.45 * torch.sin(torch.arange(n_samples) / 3000)
        return 0.2 * swell * torch.randn(n_clips, n_samples, generator=generator)

    return make
