"""MusicFM against transformers' conformer behind a plain frontend, through files in the published format."""

from pathlib import Path

import pytest
import torch
from published import PublishedMusicFM, shake, write_musicfm

from sordino.backbones import _musicfm_frontend, load_backbone, musicfm
from sordino.backbones._musicfm_network import TINY, Size

SMALL = Size(n_layers=4, dim=32, n_heads=4, dim_inner=48, kernel_size=31, channels=6, n_mels=128)
LENGTHS = [9_600, 24_000, 24_001, 30_123]  # whole frames, whole seconds, and neither


@pytest.fixture
def published():
    torch.manual_seed(1)
    return shake(PublishedMusicFM(SMALL))


def largest_difference(ours, theirs):
    assert [x.shape for x in ours] == [x.shape for x in theirs]
    return max(float((a - b).abs().max()) for a, b in zip(ours, theirs, strict=True))


@pytest.mark.parametrize("n_samples", LENGTHS)
def test_every_hidden_state_equals_the_published_one(published, tmp_path, music, n_samples):
    ours = load_backbone("musicfm", weights=write_musicfm(published, tmp_path), size=SMALL)
    assert largest_difference(ours(music(n_samples)), published(music(n_samples))) < 1e-4


def test_depth_ends_with_the_final_norm(published, tmp_path, music):
    path = write_musicfm(published, tmp_path)
    ours = load_backbone("musicfm", weights=path, depth=2, size=SMALL)(music(24_000))
    theirs = PublishedMusicFM(SMALL, depth=2).eval()
    theirs.load_state_dict(published.state_dict(), strict=False)
    assert largest_difference(ours, theirs(music(24_000))) < 1e-4
    whole = load_backbone("musicfm", weights=path, size=SMALL)
    torch.testing.assert_close(ours[1], whole(music(24_000))[1])
    torch.testing.assert_close(ours[2], whole.layer_norm(whole(music(24_000))[2]))


def test_a_padded_clip_gives_what_the_published_model_gives_for_it_alone(published, tmp_path, music):
    ours = load_backbone("musicfm", weights=write_musicfm(published, tmp_path), size=SMALL)
    batch, lengths = music(30_000, n_clips=3), [30_000, 17_777, 9_600]
    padded = torch.stack([torch.nn.functional.pad(x[:n], (0, 30_000 - n)) for x, n in zip(batch, lengths, strict=True)])
    states = ours(padded, torch.tensor(lengths))
    for row, n in enumerate(lengths):
        alone = published(batch[row : row + 1, :n])
        kept = [state[row : row + 1, : ours.n_frames(n)] for state in states]
        assert largest_difference(kept, alone) < 1e-4


def test_slices_change_nothing(music, monkeypatch):
    model = load_backbone("musicfm", weights="random:3", size=TINY)
    whole = model.extract(music(100_003))
    monkeypatch.setattr(_musicfm_frontend, "SLICE_FRAMES", 7)
    torch.testing.assert_close(model.extract(music(100_003)), whole, rtol=1e-4, atol=1e-5)


def test_training_mode_leaves_the_frontend_as_it_is(music):
    model = load_backbone("musicfm", weights="random:3", size=TINY)
    before, state = model.extract(music(24_000)), {k: v.clone() for k, v in model.conv.state_dict().items()}
    model.train()
    torch.testing.assert_close(model.extract(music(24_000)), before)
    assert all(torch.equal(value, state[name]) for name, value in model.conv.state_dict().items())


@pytest.mark.parametrize("n_samples", [1, 500, 1_024, 1_025])
def test_the_shortest_clips_give_one_frame(music, n_samples):
    model = load_backbone("musicfm", weights="random", size=TINY)
    assert model.n_frames(n_samples) == 1
    assert model(music(n_samples))[-1].shape == (2, 1, 16)


def test_the_fma_variant_has_its_own_files(published, tmp_path):
    write_musicfm(published, tmp_path, "fma")
    load_backbone("musicfm", weights=tmp_path, variant="fma", size=SMALL)
    with pytest.raises(FileNotFoundError, match=r"pretrained_msd\.pt"):
        load_backbone("musicfm", weights=tmp_path, size=SMALL)


def test_the_published_names_and_shapes_fit(monkeypatch):
    lines = Path("tests/golden/checkpoints/musicfm.tsv").read_text().splitlines()
    shapes = {name: [int(n) for n in shape.split("x") if n != "scalar"] for name, shape in map(str.split, lines)}
    published = {f"model.{name}": torch.empty(shape, device="meta") for name, shape in shapes.items()}

    def read(path, prefixes):
        names = published
        for prefix in prefixes:
            names = {name.removeprefix(prefix): value for name, value in names.items()}
        return names

    monkeypatch.setattr("sordino.backbones._musicfm_network.read_tensors", read)
    statistics = {"melspec_2048_mean": 0.0, "melspec_2048_std": 1.0}
    trained = [name for name in shapes if name.startswith(("conv.", "conformer.layer"))]
    trained = [name for name in trained if "running" not in name and "num_batches" not in name]
    n_published = sum(published[f"model.{name}"].numel() for name in trained)
    for depth, n_parameters in {None: n_published, 6: 171_289_600}.items():
        model = musicfm.MusicFM.read(Path("x"), statistics, Size(), depth, "x")
        assert sum(p.numel() for p in model.parameters()) == n_parameters
    # The paper's count for depth 6 has the position convolution too, which is in the file and never called.
    unused = sum(v.numel() for name, v in published.items() if "pos_conv_embed" in name)
    assert 171_289_600 + unused == 179_679_360


@pytest.mark.slow
@pytest.mark.parametrize("depth", [6, 12])
def test_full_size(tmp_path, music, depth):
    torch.manual_seed(1)
    published = shake(PublishedMusicFM(Size(), depth))
    path = write_musicfm(published, tmp_path)
    ours = load_backbone("musicfm", weights=path, depth=depth, size=Size(n_layers=depth))
    assert largest_difference(ours(music(50_000)), published(music(50_000))) < 1e-4
