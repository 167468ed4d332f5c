"""Encoders of the Hub against transformers: a tiny random model of each family, through files as the Hub holds them."""

import functools
import json
from types import SimpleNamespace

import pytest
import torch
import transformers
from published import shake

from sordino.backbones import huggingface, load_backbone
from sordino.backbones._weights import build_random
from sordino.checks import backbones
from sordino.checks.method_case import disturb
from sordino.checks.running import checks
from sordino.model import Model
from sordino.petl import make_method
from sordino.tasks import make_task
from sordino.together import Together

WAVE = {
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "conv_dim": [8] * 7,
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 4,
    "mask_time_prob": 0.05,
}
LARGE = {"feat_extract_norm": "layer", "conv_bias": True, "do_stable_layer_norm": True}
NARROW = {"num_conv_pos_embeddings": 3, "conv_pos_kernel_size": 7}
ROTARY = {"position_embeddings_type": "rotary", "hidden_act": "swish", "conv_depthwise_kernel_size": 7}
SPEECH = {
    "d_model": 32,
    "encoder_layers": 3,
    "encoder_attention_heads": 4,
    "encoder_ffn_dim": 48,
    "decoder_layers": 1,
    "decoder_attention_heads": 4,
    "decoder_ffn_dim": 16,
    "vocab_size": 64,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "decoder_start_token_id": 1,
    "max_source_positions": 50,
}
PATCHES = {
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "num_mel_bins": 40,
    "max_length": 106,
    "frequency_stride": 8,
}
SQUARES = {
    "patch_embeds_hidden_size": 8,
    "hidden_size": 16,
    "depths": [2, 1],
    "num_attention_heads": [2, 4],
    "num_mel_bins": 16,
    "spec_size": 64,
    "window_size": 4,
    "mlp_ratio": 2.0,
}
WORDS = {"vocab_size": 16, "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}
BOTH = {"audio_config": SQUARES | {"depths": [1, 2], "qkv_bias": False}, "text_config": WORDS}
KINDS = {  # family, size, and what transformers wraps around the encoder for a task
    "hubert": ("Hubert", WAVE, "Model"),
    "hubert large": ("Hubert", WAVE | LARGE, "ForCTC"),
    "wav2vec2": ("Wav2Vec2", WAVE, "ForPreTraining"),
    "wav2vec2 large": ("Wav2Vec2", WAVE | LARGE | {"add_adapter": True}, "Model"),
    "unispeech-sat": ("UniSpeechSat", WAVE, "ForPreTraining"),
    "wavlm": ("WavLM", WAVE, "Model"),
    "wavlm large": ("WavLM", WAVE | LARGE | {"num_buckets": 32, "max_bucket_distance": 40}, "ForXVector"),
    "data2vec-audio": ("Data2VecAudio", WAVE | NARROW, "ForCTC"),
    "wav2vec2-conformer": ("Wav2Vec2Conformer", WAVE | ROTARY, "ForPreTraining"),
    "whisper": ("Whisper", SPEECH, "ForConditionalGeneration"),
    "ast": ("AST", PATCHES, "ForAudioClassification"),
    "ast large": ("AST", PATCHES | {"qkv_bias": False, "time_stride": 8}, "Model"),
    "clap": ("ClapAudio", SQUARES, "Model"),
    "clap whole": ("Clap", BOTH, "Model"),
}
AST = "audio-spectrogram-transformer"
SECONDS = {  # of sound in an image, and what of it is heard
    "max_length_s": 1, "hop_length": 160, "fft_window_size": 512, "feature_size": 16, "frequency_min": 50,
    "frequency_max": 7_000,
}  # fmt: skip
NORMED = {"do_normalize": True, "sampling_rate": 16_000}


def heard(model_type):
    """What preprocessor_config.json says."""
    of_family = {AST: {"mean": -3.0, "std": 4.0}, "clap": SECONDS, "clap_audio_model": SECONDS}
    return NORMED | of_family.get(model_type, {})


def published(kind, seed=1, **changes):
    """A random model of transformers, its norms shaken."""
    family, size, around = KINDS[kind]
    config = getattr(transformers, f"{family}Config")(**{**size, **changes})
    config._attn_implementation = "eager"
    torch.manual_seed(seed)
    model = getattr(transformers, f"{family}{around}")(config)
    for name, value in model.named_parameters():
        if name.endswith(("_token", "position_embeddings", "bias_table")):
            torch.nn.init.normal_(value)
    return shake(model)


def write(model, folder, parts=1):
    model.save_pretrained(folder, max_shard_size="200KB" if parts > 1 else "1GB")
    (folder / "preprocessor_config.json").write_text(json.dumps(heard(model.config.model_type)))
    return folder


@torch.no_grad()
def their_states(model, waveform):
    """Every hidden state of the encoder, from sound."""
    if model.config.model_type == "whisper":
        extractor = transformers.WhisperFeatureExtractor(feature_size=80, chunk_length=1)
        features = extractor(list(waveform.numpy()), sampling_rate=16_000, return_tensors="pt").input_features
        assert features.shape[2] == 100
        return model.get_encoder()(features, output_hidden_states=True).hidden_states
    if model.config.model_type == AST:
        return columns(model, waveform)
    if model.config.model_type.startswith("clap"):
        seconds = [images(model, second) for second in waveform.split(16_000, dim=1)]
        return [torch.cat(states, dim=1) for states in zip(*seconds, strict=True)]
    normed = (waveform - waveform.mean(1, keepdim=True)) / (waveform.var(1, correction=0, keepdim=True) + 1e-7).sqrt()
    encoder = getattr(model, model.base_model_prefix, model)
    return encoder(normed, output_hidden_states=True).hidden_states


@torch.no_grad()
def columns(model, waveform):
    """The mean of each column's patches, in every hidden state."""
    config, mel_frames = model.config, 1 + (waveform.shape[1] - 400) // 160
    extractor = transformers.ASTFeatureExtractor(
        num_mel_bins=config.num_mel_bins, max_length=mel_frames, mean=-3.0, std=4.0
    )
    features = extractor(list(waveform.numpy()), sampling_rate=16_000, return_tensors="pt").input_values
    encoder = model if hasattr(model, "embeddings") else model.audio_spectrogram_transformer
    n_bands = (config.num_mel_bins - 16) // config.frequency_stride + 1
    n_columns = (mel_frames - 16) // config.time_stride + 1
    learned = encoder.embeddings.position_embeddings
    whole, table = learned[:, :2], learned[0, 2:].unflatten(0, (n_bands, -1))
    if n_columns > table.shape[1]:
        table = torch.nn.functional.interpolate(
            table.permute(2, 0, 1)[None], size=(n_bands, n_columns), mode="bilinear"
        )[0].permute(1, 2, 0)
    positions = torch.cat([whole, table[:, :n_columns].flatten(0, 1)[None]], dim=1)
    encoder.embeddings.position_embeddings = torch.nn.Parameter(positions)
    try:
        states = encoder(features, output_hidden_states=True).hidden_states
    finally:
        encoder.embeddings.position_embeddings = learned
    return [state[:, 2:].unflatten(1, (n_bands, -1)).mean(1) for state in states]


@torch.no_grad()
def images(model, waveform):
    """What each block gives for a second or less: columns of the last stage that the clip reaches, the mean over
    frequency. Silence fills the rest of the image and is kept out of attention."""
    real = torch.arange(32) < -(-waveform.shape[1] // 500)
    extractor = transformers.ClapFeatureExtractor(**heard("clap"), truncation="rand_trunc", padding="with silence")
    features = extractor(list(waveform.numpy()), sampling_rate=16_000, return_tensors="pt").input_features
    encoder = getattr(model, "audio_model", model).audio_encoder
    for block in (block for stage in encoder.layers for block in stage.blocks):
        block.get_attn_mask = functools.partial(seen, block, real)
    states = []
    hooks = [encoder.patch_embed.register_forward_hook(lambda module, inputs, output: states.append(output))]
    for stage in encoder.layers:
        hooks += [block.register_forward_hook(lambda module, inputs, output: states.append(output[0]))
                  for block in stage.blocks]  # fmt: skip
        hooks.append(stage.register_forward_hook(lambda module, inputs, output: states.append(output[0])))
    pooled = encoder(features).pooler_output
    for hook in hooks:
        hook.remove()
    first = encoder.config.depths[0]
    *states, top = [*states[:first], *states[first + 1 : -1]]  # a stage's last block is followed by the stage
    states = [columns_of_squares(state) for state in (*states, encoder.norm(top))]
    torch.testing.assert_close(states[-1].mean(1), pooled)
    return [state[:, real] for state in states]


def seen(block, real, *size, **kind):
    """What transformers adds to products in a block, and next to nothing seen of frames that are not real."""
    side, window = block.input_resolution[0], block.window_size
    tokens = real.view(4, 8).repeat_interleave(side // 4, 0).repeat_interleave(side // 8, 1)
    moved = tokens.roll((-block.shift_size, -block.shift_size), (0, 1)).view(side // window, window, -1, window)
    hidden = torch.where(moved.transpose(1, 2).flatten(0, 1).flatten(1), 0.0, -1e9)[:, None]
    own = type(block).get_attn_mask(block, *size, **kind)
    return hidden if own is None else hidden + own


def columns_of_squares(tokens):
    """Of an image with four stretches of time above one another, each of eight columns, wider ones at first."""
    side = round(tokens.shape[1] ** 0.5)
    by_column = tokens.unflatten(1, (4, side // 4, 8, side // 8)).mean(2)  # stretch, column, part of it
    return by_column.flatten(3, 4).flatten(1, 2)


def largest_difference(ours, theirs):
    assert [x.shape for x in ours] == [x.shape for x in theirs]
    return max(float((a - b).abs().max()) for a, b in zip(ours, theirs, strict=True))


@pytest.mark.parametrize("kind", list(KINDS))
def test_every_hidden_state_equals_the_published_one(kind, tmp_path, music):
    theirs = published(kind)
    ours = load_backbone("huggingface", weights=write(theirs, tmp_path))
    for n_samples in (16_000,) if kind == "whisper" else (16_000, 10_123, 24_000):
        assert largest_difference(ours(music(n_samples)), their_states(theirs, music(n_samples))) < 1e-4
    assert ours.sample_rate_hz == 16_000 and ours.n_layers == 3


def test_clips_as_long_as_ast_was_taught_are_heard_as_its_extractor_pads_them(tmp_path, music):
    """10.24 s give 1022 mel frames, which the extractor fills up to 1024; no patch reaches the last two."""
    theirs = published("ast", max_length=1024)
    ours = load_backbone("huggingface", weights=write(theirs, tmp_path), depth=1)
    waveform = music(163_840, 1)
    extractor = transformers.ASTFeatureExtractor(num_mel_bins=40, mean=-3.0, std=4.0)
    features = extractor(list(waveform.numpy()), sampling_rate=16_000, return_tensors="pt").input_values
    with torch.no_grad():
        tokens = theirs.audio_spectrogram_transformer.embeddings(features)[:, 2:]
    first = tokens.unflatten(1, (4, -1)).mean(1)
    assert features.shape[1] == 1024 and first.shape[1] == 101
    assert largest_difference(ours(waveform)[:1], [first]) < 1e-4


@pytest.mark.parametrize("kind", ["hubert large", "wavlm", "whisper", "ast", "clap"])
def test_depth_leaves_out_the_upper_layers(kind, tmp_path, music):
    theirs = published(kind)
    shallow = load_backbone("huggingface", weights=write(theirs, tmp_path), depth=2)
    assert largest_difference(shallow(music(16_000))[:2], their_states(theirs, music(16_000))[:2]) < 1e-4


@functools.cache
def tiny(kind, seed=0):
    """A random network of a family, with two layers."""
    family, size, _ = KINDS[kind]
    config = getattr(transformers, f"{family}Config")(**size).to_dict()
    network = huggingface.FAMILIES[config["model_type"]]

    def make():
        made = network.configured(network.part_of(config), True, depth=2)
        made.listen(heard(config["model_type"]))
        return made

    return build_random(make, f"random:{seed}")


class FamilyCase(backbones.BackboneCase):
    """A family in the place of a class."""

    def __init__(self, kind):
        self.name, self.tiny = "huggingface", tiny(kind)
        self.cls = SimpleNamespace(tiny=functools.partial(tiny.__wrapped__, kind))


OF_THE_CLASS = ("says_what_it_is", "refuses_a_wrong_option")
KEPT = [check for check in checks(backbones) if check.__name__ not in OF_THE_CLASS]


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in ("hubert large", "wav2vec2 large")])
@pytest.mark.parametrize("check", KEPT, ids=lambda check: check.__name__)
def test_each_family_keeps_what_backbones_promise(check, kind):
    check(FamilyCase(kind))


FAMILIES = ("wavlm", "data2vec-audio", "wav2vec2-conformer", "whisper", "ast", "clap")
ATTACHED = ("lora", "prefix", "prompt", "adapter", "bitfit", "ssf")


@pytest.mark.parametrize(
    ("kind", "method"),
    [(kind, method) for kind in FAMILIES for method in ATTACHED if (kind, method) != ("clap", "prompt")],
)
def test_methods_change_each_family_and_padding_still_changes_nothing(method, kind, music):
    assert_changed_and_padded_alike(tiny(kind).share(), method, music, 12_000)


def assert_changed_and_padded_alike(backbone, method, music, n_samples):
    """With a method's parts, answers are others, and still the same to a clip behind which something lies."""
    waveform = music(n_samples)
    before = backbone(waveform)[-1]
    torch.manual_seed(0)
    disturb(make_method(method).attach(backbone).parameters())
    after = backbone(waveform)[-1]
    assert after.shape == before.shape and not torch.allclose(after, before)
    padded = torch.nn.functional.pad(waveform, (0, 5_000))
    padded[0, n_samples:] = music(5_000)[0]
    states = backbone(padded, torch.tensor([n_samples + 5_000, n_samples]))[-1]
    torch.testing.assert_close(states[1, : after.shape[1]], after[1], rtol=1e-4, atol=1e-4)


def answers_together(backbone, music):
    """Each model's answer to clips of unequal length: beside others, alone, and clip by clip."""
    task = make_task("key")
    task.fit([])
    models = [Model(backbone, [task], [make_method("lora", layers="last")], {"layers": "all"}) for _ in range(3)]
    for seed, model in enumerate(models):
        torch.manual_seed(seed)
        disturb(model.attachments.parameters())
    n_samples = torch.tensor([24_000, 16_000, 9_000])
    waveform = music(24_000, 3) * (torch.arange(24_000) < n_samples[:, None])
    with torch.no_grad():
        for model, beside in zip(models, Together(backbone, models, 24)(waveform, n_samples), strict=True):
            clips = zip(waveform, n_samples, strict=True)
            apart = torch.cat([model.predict(clip[None, :n])["key"] for clip, n in clips])
            yield beside["key"], model.predict(waveform, n_samples)["key"], apart


def test_prompts_have_no_place_in_an_image():
    with pytest.raises(ValueError, match="prompt: role tokens matches nothing on huggingface"):
        make_method("prompt").attach(tiny("clap").share())


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"enable_fusion": True}, "enable_fusion = True is not supported, only False"),
        ({"patch_stride": [2, 4]}, r"patch_stride = \[2, 4\] is not supported"),
        ({"window_size": 3}, "no whole number of patches of 4 and squares of 3"),
        ({"num_mel_bins": 24}, "an image of 64 by 64 with 24 bands"),
    ],
)
def test_images_that_cannot_be_cut_are_refused(changed, told):
    with pytest.raises(ValueError, match=told):
        huggingface.FAMILIES["clap"].configured({**SQUARES, **changed}, True)


def test_sizes_that_a_configuration_leaves_out_are_the_usual_ones():
    """Some versions of transformers write of a model inside another only what is not usual."""
    whole = transformers.ClapConfig(audio_config={"depths": [2, 1, 1, 1]}).to_dict()
    short = {"model_type": "clap", "audio_config": {"model_type": "clap_audio_model", "depths": [2, 1, 1, 1]}}
    clap = huggingface.FAMILIES["clap"]
    with torch.device("meta"):
        said, unsaid = (clap.configured(clap.part_of(config), True) for config in (whole, short))
    shapes = {name: value.shape for name, value in said.state_dict().items()}
    assert shapes == {name: value.shape for name, value in unsaid.state_dict().items()}
    assert (unsaid.n_layers, unsaid.dim, unsaid.frame_rate_hz) == (clap.n_published(clap.part_of(short)), 768, 3.2)


def test_frames_of_an_image_end_where_its_clip_ends():
    clap = tiny("clap")
    assert [clap.n_frames(n) for n in (1, 500, 501, 16_000, 16_001)] == [1, 1, 2, 32, 33]


@pytest.mark.parametrize("kind", ["wavlm", "ast", "clap"])
def test_models_answer_beside_others_as_alone(kind, music):
    answers = list(answers_together(tiny(kind), music))
    assert not torch.allclose(answers[0][0], answers[1][0], atol=1e-3)
    for beside, alone, apart in answers:
        torch.testing.assert_close(beside, alone, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(alone, apart, rtol=1e-4, atol=1e-5)


def test_weights_in_several_files_are_put_together(tmp_path, music):
    theirs = published("hubert", intermediate_size=1024)
    write(theirs, tmp_path, parts=2)
    assert (tmp_path / "model.safetensors.index.json").is_file()
    ours = load_backbone("huggingface", weights=tmp_path)
    assert largest_difference(ours(music(9_000)), their_states(theirs, music(9_000))) < 1e-4


def test_mert_is_the_same_here_and_there(tmp_path, music):
    from published import published_mert, write_mert

    from sordino.backbones import mert

    folder = write_mert(shake(published_mert(mert.TINY)), tmp_path).parent
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"model_type": "mert_model"}))
    there, here = load_backbone("huggingface", weights=folder), load_backbone("mert", weights=folder)
    for one, other in zip(there(music(9_000)), here(music(9_000)), strict=True):
        assert torch.equal(one, other)


def test_a_repository_of_the_hub(tmp_path, monkeypatch, music):
    """Its files come one by one, at the revision that is named; what it lacks is passed over."""
    from huggingface_hub.errors import EntryNotFoundError

    folder, asked = write(published("wavlm"), tmp_path), []

    def download(repository, file, revision, endpoint):
        asked.append((repository, file, revision))
        if not (folder / file).is_file():
            raise EntryNotFoundError(file, response=SimpleNamespace(headers={}, request=None))
        return str(folder / file)

    monkeypatch.setattr("huggingface_hub.hf_hub_download", download)
    there = load_backbone("huggingface", model="someone/wavlm@v2")
    assert there.weights == "someone/wavlm@v2" and {revision for *_, revision in asked} == {"v2"}
    assert there.fingerprint() == load_backbone("huggingface", weights=folder).fingerprint()
    (folder / "preprocessor_config.json").unlink()
    assert load_backbone("huggingface", "random:3", model="someone/wavlm").weights == "random (seed 3)"


def test_what_the_weights_do_not_tell_is_part_of_the_fingerprint(tmp_path):
    folder = write(published("hubert"), tmp_path)
    one = load_backbone("huggingface", weights=folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"num_attention_heads": 2}))
    assert load_backbone("huggingface", weights=folder).fingerprint() != one.fingerprint()
    (folder / "config.json").write_text(json.dumps(config | {"conv_stride": [4, *config["conv_stride"][1:]]}))
    assert load_backbone("huggingface", weights=folder).fingerprint() != one.fingerprint()
    (folder / "config.json").write_text(json.dumps(config | {"max_bucket_distance": 99}))
    assert load_backbone("huggingface", weights=folder).fingerprint() != one.fingerprint()
    (folder / "config.json").write_text(json.dumps(config))
    assert load_backbone("huggingface", weights=folder, normalise=False).fingerprint() != one.fingerprint()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"model_type": "bert"}, 'model_type = "bert" is none of hubert'),
        ({"hidden_act": "relu"}, "hidden_act = 'relu' is not supported, only 'gelu'"),
        ({"intermediate_size": 64}, "feed_forward.intermediate_dense.weight is"),
        ({"num_hidden_layers": 4}, "missing layers.3."),
        ({"num_hidden_layers": 2}, "unknown layers.2."),
    ],
)
def test_what_does_not_fit_is_refused(change, told, tmp_path):
    folder = write(published("hubert"), tmp_path)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | change))
    with pytest.raises(ValueError, match=told) as error:
        load_backbone("huggingface", weights=folder)
    assert str(folder) in str(error.value) or "config.json" in str(error.value)


def test_a_repository_that_cannot_be_reached_is_told(monkeypatch):
    def unreachable(*args, **options):
        raise ConnectionError("no route\nto the Hub")

    monkeypatch.setattr("huggingface_hub.hf_hub_download", unreachable)
    told = r"someone/nothing is not here and cannot be downloaded \(ConnectionError: no route to the Hub\)"
    with pytest.raises(FileNotFoundError, match=told):
        load_backbone("huggingface", model="someone/nothing")


def test_missing_files_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"holds no config\.json"):
        load_backbone("huggingface", weights=tmp_path)
    write(published("hubert"), tmp_path)
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(FileNotFoundError, match=r"holds none of model\.safetensors"):
        load_backbone("huggingface", weights=tmp_path)
    with pytest.raises(ValueError, match="is no repository of the Hub"):
        load_backbone("huggingface", model="nothing")
