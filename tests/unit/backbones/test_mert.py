"""MERT against transformers' HubertModel, through files in the published format."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from published import old_names, published_mert, shake, write_mert

from sordino.backbones import load_backbone, mert

SMALL = {
    "95m": replace(mert.TINY, num_hidden_layers=4, hidden_size=32, num_conv_pos_embeddings=128),
    "330m": replace(mert.TINY, num_hidden_layers=4, hidden_size=32, do_stable_layer_norm=True),
}
LENGTHS = [9_600, 24_000, 24_001, 30_123]
KINDS = pytest.mark.parametrize("kind", list(SMALL))


def published(kind, depth=None):
    torch.manual_seed(1)
    return shake(published_mert(SMALL[kind], depth))


@torch.no_grad()
def their_states(model, waveform):
    """With the published preprocessing: mean 0 and variance 1 over each clip."""
    from transformers import Wav2Vec2FeatureExtractor

    extractor = Wav2Vec2FeatureExtractor(sampling_rate=24_000, do_normalize=True)
    values = extractor(list(waveform.numpy()), sampling_rate=24_000, return_tensors="pt").input_values
    return model(values, output_hidden_states=True).hidden_states


def largest_difference(ours, theirs):
    assert [x.shape for x in ours] == [x.shape for x in theirs]
    return max(float((a - b).abs().max()) for a, b in zip(ours, theirs, strict=True))


@KINDS
@pytest.mark.parametrize("n_samples", LENGTHS)
def test_every_hidden_state_equals_the_published_one(kind, tmp_path, music, n_samples):
    theirs = published(kind)
    ours = load_backbone("mert", weights=write_mert(theirs, tmp_path))
    assert largest_difference(ours(music(n_samples)), their_states(theirs, music(n_samples))) < 1e-4


@KINDS
def test_depth_ends_as_the_published_model_of_that_depth(kind, tmp_path, music):
    theirs = published(kind)
    ours = load_backbone("mert", weights=write_mert(theirs, tmp_path), depth=2)
    shallow = published_mert(SMALL[kind], depth=2).eval()
    shallow.load_state_dict(theirs.state_dict(), strict=False)
    assert largest_difference(ours(music(24_000)), their_states(shallow, music(24_000))) < 1e-4


@KINDS
def test_a_padded_clip_gives_what_the_published_model_gives_for_it_alone(kind, tmp_path, music):
    theirs = published(kind)
    ours = load_backbone("mert", weights=write_mert(theirs, tmp_path))
    batch, lengths = music(30_000, n_clips=3), [30_000, 17_777, 9_600]
    padded = torch.stack([torch.nn.functional.pad(x[:n], (0, 30_000 - n)) for x, n in zip(batch, lengths, strict=True)])
    states = ours(padded, torch.tensor(lengths))
    for row, n in enumerate(lengths):
        kept = [state[row : row + 1, : ours.n_frames(n)] for state in states]
        assert largest_difference(kept, their_states(theirs, batch[row : row + 1, :n])) < 1e-4


def test_input_is_normed_only_where_the_preprocessor_says_so(tmp_path, music):
    theirs = published("95m")
    ours = load_backbone("mert", weights=write_mert(theirs, tmp_path, do_normalize=False))
    with torch.no_grad():
        raw = theirs(music(24_000), output_hidden_states=True).hidden_states
    assert largest_difference(ours(music(24_000)), raw) < 1e-4


def test_the_sound_as_it_is_on_request(tmp_path, music):
    """Whatever the file says; and states of the one are never taken for those of the other."""
    theirs = published("95m")
    folder = write_mert(theirs, tmp_path)
    raw, normed, usual = (load_backbone("mert", weights=folder, normalise=how) for how in (False, True, None))
    quiet = 0.01 * music(24_000)
    with torch.no_grad():
        expected = theirs(quiet, output_hidden_states=True).hidden_states
    assert largest_difference(raw(quiet), expected) < 1e-4
    assert largest_difference(normed(quiet), their_states(theirs, quiet)) < 1e-4
    assert largest_difference(raw(quiet), normed(quiet)) > 1e-2
    assert raw.fingerprint() != normed.fingerprint() == usual.fingerprint()
    assert not load_backbone("mert", "random", size=mert.TINY, normalise=False).normalise


@pytest.mark.parametrize("n_samples", [1, 399, 400])
def test_the_shortest_clips_give_one_frame(music, n_samples):
    model = mert.MERT.tiny()
    assert model.n_frames(n_samples) == 1
    assert model(music(n_samples))[-1].shape == (2, 1, 16)


@pytest.mark.parametrize("name", ["mert_v1_95m", "mert_v1_330m"])
@pytest.mark.parametrize("old", [False, True])
def test_the_published_names_and_shapes_fit(name, old):
    lines = Path(f"tests/golden/checkpoints/{name}.tsv").read_text().splitlines()
    shapes = {tensor: [int(n) for n in shape.split("x")] for tensor, shape in map(str.split, lines)}
    tensors = {tensor: torch.empty(shape, device="meta") for tensor, shape in shapes.items()}
    tensors = {n.removeprefix("encoder."): v for n, v in (old_names(tensors) if old else tensors).items()}
    tensors = mert.MERT.renamed(tensors, {})
    size = mert.SIZES[name.rpartition("_")[2]]
    model = mert.build(lambda: mert.MERT(size), tensors, mert.UNUSED, name)
    folded_away = 128  # magnitudes of the position convolution
    unused = size.hidden_size  # masked_spec_embed
    n_published = sum(torch.Size(shape).numel() for shape in shapes.values())
    assert sum(p.numel() for p in model.parameters()) == n_published - folded_away - unused


def test_depth_six_has_the_papers_number_of_parameters():
    with torch.device("meta"):
        model = mert.MERT(depth=6)
    assert sum(p.numel() for p in model.parameters()) + 128 == 51_843_712


def test_settings_that_mert_does_not_have_are_refused():
    with pytest.raises(ValueError, match="feature_extractor_cqt = True is not supported"):
        mert.Size.read({"feature_extractor_cqt": True})


@pytest.mark.slow
@pytest.mark.parametrize(("variant", "depth"), [("95m", 6), ("95m", 12), ("330m", 6), ("330m", 24)])
def test_full_size(tmp_path, music, variant, depth):
    torch.manual_seed(1)
    theirs = shake(published_mert(mert.SIZES[variant], depth))
    ours = load_backbone("mert", weights=write_mert(theirs, tmp_path))
    assert largest_difference(ours(music(50_000)), their_states(theirs, music(50_000))) < 1e-4
