"""Pretraining: tokens, masks, labels as targets, the store, and a run that is interrupted."""

import json
import math

import numpy as np
import pytest
import soundfile
import torch
from click.testing import CliRunner

from sordino.backbones._mini_frontend import N_FEATURES, VIEWS, MiniFrontend, lag_bpms
from sordino.backbones.mini import Mini
from sordino.pretrain.batches import CropSampler, Material, Tracks
from sordino.pretrain.labels import (
    Cut,
    beat_targets,
    chord_class,
    chord_targets,
    crop_targets,
    key_class,
    read_labels,
    tempo_distribution,
)
from sordino.pretrain.loop import PretrainConfig, pretrain, schedule
from sordino.pretrain.masking import SPAN_FRAMES, hide, span_mask
from sordino.pretrain.objectives import Objectives
from sordino.pretrain.quantiser import RandomQuantiser, ResidualQuantiser
from sordino.pretrain.recolouring import recolour
from sordino.pretrain.regressions import Corpus, measure_corpus, raw_targets
from sordino.pretrain.sounds import Sounds
from sordino.pretrain.store import Store, build_store, choose_split


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_perplexity_of_known_counts():
    quantiser = RandomQuantiser(8, n_codebooks=2, n_codes=16)
    assert quantiser.perplexity().tolist() == pytest.approx([16, 16])
    quantiser.counts.copy_(torch.eye(16)[:2] * 5)
    assert quantiser.perplexity().tolist() == pytest.approx([1, 1])
    quantiser.counts[0, :4] = 1.0
    quantiser.counts[0, 4:] = 0.0
    assert float(quantiser.entropy()[0]) == pytest.approx(math.log(4))


def test_a_frame_that_projects_onto_a_code_gets_that_code():
    quantiser = RandomQuantiser(40, n_codebooks=1, n_codes=32)
    # A frame with mean zero whose projection is exactly code 7.
    conditions = torch.cat([quantiser.projections[0].T, torch.ones(1, 40)])
    wanted = torch.cat([quantiser.codes[0, 7], torch.zeros(1)])
    frame = torch.linalg.lstsq(conditions, wanted[:, None]).solution[:, 0]
    assert quantiser(frame[None, None]).item() == 7
    assert quantiser(5 * frame[None, None] + 3).item() == 7  # neither loudness nor level matters


def test_a_residual_quantiser_finds_the_sums_that_frames_are_made_of():
    torch.manual_seed(0)
    coarse, fine = 10 * torch.randn(4, 40), torch.randn(3, 40)
    coarse, fine = (x - x.mean(-1, keepdim=True) for x in (coarse, fine))
    first, second = torch.randint(4, (600,)), torch.randint(3, (600,))
    frames = coarse[first] + fine[second]
    quantiser = ResidualQuantiser(frames, n_codebooks=2, n_codes=12, seed=1)
    tokens = quantiser(frames[None] + 5)  # a level does not matter
    pairs = {tuple(pair) for pair in torch.stack([first, second, *tokens[:, 0]], 1).tolist()}
    assert len(pairs) == 12  # each of the twelve kinds of frame has tokens of its own
    assert len({pair[2:] for pair in pairs}) == 12
    left = frames @ quantiser.components
    for codes, row in zip(quantiser.codes, tokens[:, 0], strict=True):
        left = left - codes[row]
    assert left.square().sum() < 1e-3 * frames.square().sum()


def test_equal_seeds_give_equal_tokens():
    x = torch.randn(2, 30, 40, generator=generator())
    assert torch.equal(RandomQuantiser(40, seed=1)(x), RandomQuantiser(40, seed=1)(x))
    assert not torch.equal(RandomQuantiser(40, seed=1)(x), RandomQuantiser(40, seed=2)(x))


def test_the_share_of_hidden_frames_is_the_one_asked_for():
    share = torch.tensor([0.2, 0.6]).repeat(300)
    mask = span_mask(200, share, generator())
    assert mask[0::2].float().mean().item() == pytest.approx(0.2, abs=0.01)
    assert mask[1::2].float().mean().item() == pytest.approx(0.6, abs=0.01)


def test_hidden_spans_are_whole():
    mask = span_mask(200, torch.full((50,), 0.1), generator())
    edges = torch.diff(mask.int(), dim=1, prepend=torch.zeros(50, 1, dtype=torch.int))
    for row in edges:
        starts, ends = (row == 1).nonzero()[:, 0], (row == -1).nonzero()[:, 0]
        inner = [(int(a), int(b)) for a, b in zip(starts, ends, strict=False) if a > 0]
        assert all((b - a) % SPAN_FRAMES == 0 for a, b in inner)


def test_hiding_leaves_the_other_frames_alone():
    x = torch.ones(2, 40, 5)
    mask = span_mask(40, torch.full((2,), 0.5), generator())
    hidden = hide(x, mask, generator())
    assert torch.equal(hidden[~mask], x[~mask])
    assert hidden[mask].abs().max() < 1


def test_targets_of_labels():
    assert [key_class(k) for k in ("C major", "B minor", "Eb minor", None)] == [0, 23, 15, -1]
    assert [chord_class(c) for c in ("C:maj", "A:min7", "F#:7", "Db:hdim7", "N", "X", "G:sus4")] == [
        0, 21, 6, 13, 24, -1, -1,
    ]  # fmt: skip
    assert (
        chord_targets([[0.0, 0.4, "C:maj"], [0.4, 0.8, "A:min"]], Cut(5, 20)).tolist() == [0] * 5 + [21] * 10 + [-1] * 5
    )
    beats = beat_targets({"beats": [0.02, 0.5, 9.0], "downbeats": [0.5]}, Cut(10, 10))
    assert beats[:, 0].tolist() == [0, 0.5, 1, 0.5, 0, 0, 0, 0, 0, 0]
    assert beats[:, 1].sum() == 2
    for bpm in (50.0, 121.3, 210.0):
        assert float(lag_bpms()[tempo_distribution(bpm).argmax()]) == pytest.approx(bpm, rel=0.02)


def test_a_moved_crop_has_moved_labels():
    entry = {
        "key": "B minor", "tempo": 100.0, "beat": {"beats": [4.0, 4.6], "downbeats": [4.6]},
        "chord": [[4.0, 4.8, "A:maj"]], "instruments": ["bass"],
    }  # fmt: skip
    slow = crop_targets(entry, Cut(75.0, 60, tempo_steps=-12, semitones=3))
    beat, beat_known, chord, key, tempo, instruments, instruments_known = slow
    rate = 10 ** (-12 / 95)
    assert float(lag_bpms()[tempo.argmax()]) == pytest.approx(100 * rate, rel=0.02)
    assert np.flatnonzero(beat[:, 0] == 1).tolist() == [int(25 / rate), int(40 / rate)]
    assert np.flatnonzero(beat[:, 1] == 1).tolist() == [int(40 / rate)]
    assert (int(key), set(chord.tolist())) == (14, {-1, 0})
    assert (chord == 0).sum() == round(45 / rate) - round(25 / rate)
    assert (beat_known.all(), instruments.sum(), instruments_known) == (True, 1, 1)
    nothing = crop_targets({}, Cut(0.0, 10))
    assert not any(part.any() for part in (nothing[0], nothing[1], nothing[4], nothing[6]))
    assert (nothing[2] == -1).all()
    assert nothing[3] == -1


def test_beats_count_only_where_they_are_known():
    entry = {"beat": {"beats": [0.5], "downbeats": [], "known": [[0.0, 1.0], [2.0, 3.0]]}}
    known = crop_targets(entry, Cut(12.5, 100))[1]
    assert np.flatnonzero(np.diff(known[:, 0])).tolist() == [11, 36, 61]
    assert known[0].tolist() == [1, 1]
    assert np.array_equal(known[:, 0], known[:, 1])
    entry["beat"]["bars_known"] = [[2.0, 3.0]]
    assert np.flatnonzero(crop_targets(entry, Cut(0.0, 100))[1][:, 1]).tolist() == list(range(50, 75))
    # Behind the end of a short clip it is played again, and nobody knows its beats.
    entry = {"beat": {"beats": [0.5], "downbeats": []}}
    assert np.flatnonzero(crop_targets(entry, Cut(0.0, 100, track_frames=60))[1][:, 0]).tolist() == list(range(60))


def test_recolouring_changes_the_mel_view_alone_and_stays_above_the_floor():
    features = torch.full((400, 3, N_FEATURES), math.log(1e-3))
    features[:, 1:, VIEWS["mel"]] = 3.0
    changed = recolour(features, generator())
    assert torch.equal(changed[..., VIEWS["pitch"].start :], features[..., VIEWS["pitch"].start :])
    mel = changed[..., VIEWS["mel"]]
    assert mel.min() >= math.log(1e-3) - 1e-5
    loud = mel[:, 1, 40] - 3.0  # below every low-pass and above all noise: level and equaliser alone
    assert 1.4 < loud.abs().max() < 2.9
    assert loud.mean().abs() < 0.17  # three deviations of the mean
    filtered = (mel[:, 1, 127] < -2).float().mean()
    noisy = (mel[:, 0, 0] > math.log(1e-3) + 2.9).float().mean()  # above what level and equaliser make of silence
    assert 0.12 < filtered < 0.3
    assert 0.09 < noisy < 0.21


def test_a_bad_label_is_named_with_its_line(tmp_path):
    file = tmp_path / "labels.jsonl"
    file.write_text('{"path": "a.wav"}\n{"path": "b.wav", "instruments": ["theremin"]}\n')
    with pytest.raises(ValueError, match=r"labels\.jsonl line 2: .*theremin"):
        read_labels(file)


def test_the_schedule_rises_and_falls():
    assert schedule(0, 100, 10) == pytest.approx(0.1)
    assert schedule(9, 100, 10) == schedule(10, 100, 10) == pytest.approx(1.0)
    assert schedule(100, 100, 10) == pytest.approx(0.05)


def test_an_unknown_question_cannot_be_skipped():
    with pytest.raises(ValueError, match="rhythm"):
        Objectives(Mini.tiny(), Corpus(torch.zeros(1), torch.ones(1), torch.zeros(1, 1), {}, {}), skip=["rhythm"])


@pytest.fixture(scope="module")
def music(tmp_path_factory):
    """Two albums of noise with a pulse, one file that is no music, one too short."""
    folder = tmp_path_factory.mktemp("music")
    for number, album in enumerate(("one", "one", "two")):
        rng = np.random.default_rng(number)
        audio = rng.standard_normal(24_000 * 12) * (np.arange(24_000 * 12) % (12_000 + number) < 3000) * 0.1
        (folder / album).mkdir(exist_ok=True)
        soundfile.write(folder / album / f"{number}.wav", audio, 24_000)
    soundfile.write(folder / "one" / "short.wav", np.zeros(24_000), 24_000)
    (folder / "one" / "broken.mp3").write_bytes(b"no music")
    return folder


@pytest.fixture(scope="module")
def store(music, tmp_path_factory):
    root = tmp_path_factory.mktemp("store")
    left_out = build_store(music, root, validation_albums=["two"])
    assert [line.split(":")[0] for line in left_out] == ["one/broken.mp3", "one/short.wav"]
    return root


def test_a_store_gives_back_what_the_frontend_computes(music, store):
    tracks = Store(store)
    assert [(item.source, item.split) for item in tracks.items] == [
        ("one/0.wav", "train"), ("one/1.wav", "train"), ("two/2.wav", "validation"),
    ]  # fmt: skip
    audio, _ = soundfile.read(music / "one" / "0.wav", dtype="float32")
    expected = MiniFrontend()(torch.from_numpy(audio)[None])[0]
    assert tracks.duration_s == pytest.approx(36)
    assert np.allclose(tracks.crop(0, 0, 300), expected, atol=0.01, rtol=1e-3)
    assert np.array_equal(tracks.crop(0, 290, 20)[10:], tracks.crop(0, 0, 10))


def test_no_track_is_decoded_twice(music, store):
    times = {path: path.stat().st_mtime_ns for path in store.glob("*.npy")}
    build_store(music, store, validation_albums=["two"])
    assert {path: path.stat().st_mtime_ns for path in store.glob("*.npy")} == times


def test_a_batch_depends_on_its_number_alone_and_pairs_share_a_track(store):
    sampler = CropSampler(Tracks(Store(store)), n_frames=50, batch_size=4, seed=3)
    assert CropSampler(Tracks(Store(store)), batch_size=8).hidden_shares.tolist() == pytest.approx(
        [0, 0, 0.7 / 3, 0.7 / 3, 1.4 / 3, 1.4 / 3, 0.7, 0.7]
    )
    assert CropSampler(Tracks(Store(store)), batch_size=2).hidden_shares.tolist() == pytest.approx([0.35, 0.35])
    (first, _), (again, _), (other, _) = sampler.draw(5), sampler.draw(5), sampler.draw(6)
    assert torch.equal(first.features, again.features)
    assert not torch.equal(first.features, other.features)
    assert first.features.shape == (4, 50, N_FEATURES)
    plain, _ = CropSampler(Tracks(Store(store)), n_frames=50, batch_size=4, augment=False).draw(0)
    assert plain.tempo_steps.tolist() == plain.semitones.tolist() == [0] * 4
    stored = [torch.from_numpy(np.array(Store(store).features(n))).float() for n in range(3)]

    def track_of(crop):
        return [n for n, rows in enumerate(stored) if (rows == crop[0]).all(1).any()]

    tracks = [track_of(crop) for crop in plain.features]
    assert tracks[0] == tracks[1] != []
    assert tracks[2] == tracks[3] != []


def test_a_teacher_is_read_between_its_patches_where_a_moved_crop_lies(tmp_path):
    patches = np.arange(5)[:, None] * np.ones(200)
    np.savez(tmp_path / "a.npz", embedding=patches.astype(np.float16))
    sounds = Sounds(tmp_path)
    assert sounds.of("a.npy", Cut(0.0, 300))[:, 0].tolist() == [0, 1, 2, 3]  # windows and patches coincide
    assert sounds.of("a.npy", Cut(37.5, 150))[:, 7].tolist() == [0.5, 1.5]
    rate = 10 ** (-12 / 95)  # the windows' middles are 1.5 and 4.5 s * rate behind second 3 of the track
    slow = sounds.of("a.npy", Cut(75.0, 150, tempo_steps=-12))[:, 0]
    assert slow == pytest.approx([0.5 * rate + 0.5, 1.5 * rate + 0.5], abs=1e-5)
    assert np.isnan(sounds.of("b.npy", Cut(0.0, 50))).all()


def test_a_guess_of_the_mean_costs_one(store):
    sampler = CropSampler(Tracks(Store(store)), n_frames=50, batch_size=4, augment=False)
    corpus = measure_corpus(sampler, n_batches=8)
    for name in ("chroma", "onsets", "harmony", "pulse"):
        raw = torch.cat([raw_targets(sampler.draw(step)[0])[name].flatten(0, -2) for step in range(8)])
        cost = ((raw - corpus.means[name]) @ corpus.scales[name]).square().mean()
        assert float(cost) == pytest.approx(1, rel=0.05), name


def test_a_folder_without_a_store_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="sordino pretrain"):
        Store(tmp_path)


def test_albums_are_held_out_whole():
    assert choose_split("a/music", ["a"]) == "validation"
    assert choose_split("ab/music", ["a"]) == "train"
    share = np.mean([choose_split(str(number), None) == "validation" for number in range(4000)])
    assert share == pytest.approx(0.05, abs=0.01)


def tiny_config(**changes):
    return PretrainConfig(
        n_layers=1, dim=64, n_heads=1, n_onsets=2, steps=4, batch_size=4, crop_s=2.0, warmup_steps=2,
        precision="32-true", save_every_steps=2, **changes,
    )  # fmt: skip


@pytest.fixture(scope="module")
def labelled(music, store, tmp_path_factory):
    """The same sounds as if they had been rendered: a store and its labels."""
    labels = tmp_path_factory.mktemp("labels") / "labels.jsonl"
    rows = [
        {"path": item.source, "split": item.split, "group": item.group, "key": "D minor", "tempo": 120.0,
         "beat": {"beats": [0.0, 0.5, 1.0], "downbeats": [0.0]}, "chord": [[0.0, 12.0, "D:min"]],
         "instruments": ["drums"]}
        for item in Store(store).items
    ]  # fmt: skip
    labels.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return labels


def test_an_interrupted_run_ends_as_an_undisturbed_one(store, labelled, tmp_path):
    for item in Store(store).items:
        np.savez((tmp_path / item.file).with_suffix(".npz"), embedding=np.random.default_rng(0).random((5, 200)))
    material = Material(store, sounds=tmp_path, rendered=store, labels_file=labelled)
    for name, stop in (("whole", None), ("parts", 2), ("parts", None)):
        pretrain(tiny_config(), material, tmp_path / name, devices=1, stop_at_step=stop)
    whole, parts = (Mini.load(tmp_path / name / "mini.safetensors") for name in ("whole", "parts"))
    assert whole.fingerprint() == parts.fingerprint()
    rows = [json.loads(line) for line in (tmp_path / "whole" / "log.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [2, 4]
    assert {
        "mel_tokens",
        "key",
        "instruments",
        "sounds",
        "tempo_moves",
        "validation_pitch_tokens",
        "perplexity_mel",
        "key_spread",
    } <= set(rows[0])


def test_another_configuration_cannot_go_on(store, tmp_path):
    pretrain(tiny_config(), Material(store), tmp_path, devices=1, stop_at_step=1)
    with pytest.raises(ValueError, match="another configuration"):
        pretrain(tiny_config(seed=1), Material(store), tmp_path, devices=1)


def test_the_verb_trains_on_a_folder(music, tmp_path):
    from sordino.cli.pretrain import command

    options = ["--steps", "1", "--batch-size", "2", "--n-layers", "1", "--dim", "64", "--processes", "1"]
    result = CliRunner().invoke(command, [str(music), "--out", str(tmp_path / "run"), *options, "--devices", "1"])
    assert result.exit_code == 0, result.output
    assert "one/broken.mp3" in result.stderr
    weights = result.stdout.strip()
    states = Mini.load(weights)(torch.zeros(1, 24_000))
    assert states[-1].shape == (1, 25, 64)
    assert VIEWS["tempogram"].stop == N_FEATURES
