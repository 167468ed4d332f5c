"""What layers know: known answers of the fits, attributes of known sounds, one pass that loses nothing."""

import json

import numpy as np
import pytest
import soundfile
import torch
from click.testing import CliRunner

from sordino import load_backbone, make_method, make_task
from sordino.adapter_file import save_adapter
from sordino.analysis.attributes import TEMPI_BPM, attributes, timbre, time, tone
from sordino.analysis.likeness import canonical_correlation, cka, folds, predicted, r_squared
from sordino.analysis.report import analyse, markdown, side_by_side
from sordino.analysis.states import Heard, hear
from sordino.cli import group
from sordino.compute import Compute
from sordino.contracts import Track
from sordino.model import Model
from tests.conftest import TINY
from tests.known_audio import chord, click_track

RATE_HZ = 24_000
RNG = np.random.default_rng(0)
X = RNG.standard_normal((200, 24))
GROUPS = [f"g{n // 4}" for n in range(200)]


def test_what_is_linear_is_told_and_noise_is_not():
    y = X @ RNG.standard_normal((24, 3)) + 0.1 * RNG.standard_normal((200, 3))
    noise = RNG.standard_normal((200, 3))
    assert r_squared(y, predicted(X, y, GROUPS)) > 0.99
    assert r_squared(noise, predicted(X, noise, GROUPS)) < 0.05
    assert canonical_correlation(X, y, GROUPS) > 0.95 and canonical_correlation(X, noise, GROUPS) < 0.3


def test_held_out_means_held_out_by_group():
    """Groups that only have a name in common tell nothing of one another, however well they are known."""
    of = np.repeat(np.arange(50), 4)
    code = RNG.standard_normal((50, 30))[of]
    value = RNG.standard_normal(50)[of][:, None]
    assert r_squared(value, predicted(code, value, GROUPS)) < 0.1
    torn = [f"t{n}" for n in range(200)]  # each track for itself: the answer is in the other three
    assert r_squared(value, predicted(code, value, torn)) > 0.5


def test_folds_share_out_all_tracks_once_and_no_group_is_torn():
    seen = []
    for train, test in folds(GROUPS):
        assert not {GROUPS[n] for n in train} & {GROUPS[n] for n in test}
        assert len(test) == 40
        seen += list(test)
    assert sorted(seen) == list(range(200))
    with pytest.raises(ValueError, match="2 groups of tracks cannot be shared out among 5 folds"):
        list(folds(["a", "b", "a"]))


def test_r2_is_that_of_the_definition_and_of_draws():
    y, told = RNG.standard_normal((30, 1)), RNG.standard_normal((30, 1))
    expected = 1 - ((y - told) ** 2).sum() / ((y - y.mean()) ** 2).sum()
    assert r_squared(y, told) == pytest.approx(expected)
    counts = np.zeros(30)
    counts[:10] = 2
    half = 1 - ((y - told)[:10] ** 2).sum() / ((y[:10] - y[:10].mean()) ** 2).sum()
    assert r_squared(y, told, counts) == pytest.approx(half)
    assert np.isnan(r_squared(np.ones((5, 1)), np.ones((5, 1))))


def test_cka_knows_turns_and_scales_and_strangers():
    turn, _ = np.linalg.qr(RNG.standard_normal((24, 24)))
    assert cka(X, 3 * X @ turn + 1) == pytest.approx(1.0)
    assert cka(X, RNG.standard_normal((200, 5))) < 0.2
    centred = X - X.mean(0)
    other = RNG.standard_normal((200, 7)) + X[:, :7]
    k, m = centred @ centred.T, (other - other.mean(0)) @ (other - other.mean(0)).T  # by kernels, as in the paper
    assert cka(X, other) == pytest.approx((k * m).sum() / np.sqrt((k * k).sum() * (m * m).sum()))


def test_attributes_of_known_sounds():
    c, d = (tone(chord(tonic, "maj", 3.0, rate_hz=RATE_HZ), RATE_HZ) for tonic in (0, 2))
    np.testing.assert_allclose(np.roll(c["chroma"], 2), d["chroma"], atol=0.05)
    assert c["keys"].argmax() == 0 and d["keys"].argmax() == 2
    beats = time(click_track(120.0, 4, 8.0, rate_hz=RATE_HZ)[0], RATE_HZ)["tempi"]
    near = np.abs(np.log2(TEMPI_BPM / 120)) < 0.05
    assert beats[near].max() > 3 * np.median(beats)
    t = np.arange(3 * RATE_HZ) / RATE_HZ
    low, high = (timbre(np.sin(2 * np.pi * hz * t).astype(np.float32), RATE_HZ)["shape"] for hz in (500, 2000))
    assert low[0] == pytest.approx(-1, abs=0.1) and high[0] == pytest.approx(1, abs=0.1)  # octaves from 1 kHz
    silent = attributes(np.zeros(RATE_HZ, np.float32), RATE_HZ)
    assert all(np.isfinite(value).all() for own in silent.values() for value in own.values())


def test_means_of_states_are_those_of_the_whole_file_and_a_broken_one_is_told(tmp_path):
    wave = 0.1 * RNG.standard_normal(5 * RATE_HZ).astype(np.float32)
    soundfile.write(tmp_path / "a.wav", wave, RATE_HZ, subtype="FLOAT")
    (tmp_path / "b.wav").write_bytes(b"no sound")
    backbone = load_backbone("mini", weights="random", n_layers=2, dim=32, n_heads=2)
    tracks = [Track("a", tmp_path / "a.wav", {}), Track("b", tmp_path / "b.wav", {})]
    heard = hear(backbone, tracks, 10.0, Compute.choose("cpu", "float32"))
    with torch.inference_mode():
        states = backbone(torch.from_numpy(wave)[None])
    expected = torch.stack([state[0].mean(0) for state in states]).numpy()
    np.testing.assert_allclose(heard.states[0], expected, atol=1e-4)
    assert len(heard.broken) == 1 and "b.wav" in heard.broken[0] and heard.groups == ["a"]
    cut = hear(backbone, tracks[:1], 2.0, Compute.choose("cpu", "float32"))
    assert np.abs(cut.states - heard.states).mean() < 0.1 * np.abs(heard.states).mean()
    with pytest.raises(ValueError, match="none of the tracks could be read"):
        hear(backbone, tracks[1:])


def test_the_analysis_finds_where_a_group_was_put():
    """State 1 holds the timbre, state 2 the tone, no state the time."""
    own = {group: {"it": RNG.standard_normal((200, 4))} for group in ("timbre", "tone", "time")}
    states = RNG.standard_normal((200, 3, 16))
    states[:, 1, :4], states[:, 2, :4] = own["timbre"]["it"], 0.7 * own["tone"]["it"] + 0.7 * states[:, 2, :4]
    found = analyse(Heard(states, own, GROUPS, []))
    r2 = {(row.state, row.group): row for row in found.told}
    assert r2[1, "timbre"].r2 > 0.9 > r2[2, "tone"].r2 > 0.2
    assert all(row.r2 < 0.05 for key, row in r2.items() if key not in ((1, "timbre"), (2, "tone")))
    assert r2[1, "timbre"].interval[0] < r2[1, "timbre"].r2 < r2[1, "timbre"].interval[1]
    assert found.gaps["timbre - tone"][1] > 0 and np.allclose(np.diag(found.likeness), 1)
    assert markdown(found).count("\n|") == 4  # the rule below the head, and three states


def test_the_verb_hears_a_table_and_compares_an_adapted_model_with_itself_before(triads, tmp_path):
    words = ["analyze", str(triads), "--segment-s", "2", "--out", str(tmp_path / "a")]
    words += [f"{key}={value}" for key, value in TINY.items() if key != "name"]
    told = CliRunner().invoke(group, words, catch_exceptions=False)
    assert told.exit_code == 0, told.output
    kept = json.loads((tmp_path / "a" / "analysis.json").read_text())
    assert kept["n_tracks"] == 24 and len(kept["likeness"]) == TINY.get("n_layers", 2) + 1
    assert (tmp_path / "a" / "analysis.png").read_bytes()[:4] == b"\x89PNG"
    refused = CliRunner().invoke(group, [*words[:2], "--before"])
    assert refused.exit_code == 2 and "--adapter" in refused.output
    model = Model(load_backbone(**TINY), [make_task("key")], [make_method("lora")], {}, seed=0)
    for parameter in model.attachments.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    adapter = save_adapter(model, tmp_path / "x.adapter", TINY, model.backbone.fingerprint(), 2.0)
    words = [*words[:2], "--segment-s", "2", "--adapter", str(adapter), "--before", "--out", str(tmp_path / "b")]
    told = CliRunner().invoke(group, words, catch_exceptions=False)
    assert told.exit_code == 0, told.output
    likeness = json.loads((tmp_path / "b" / "analysis.json").read_text())["likeness"]
    assert likeness[0][0] == pytest.approx(1.0) and likeness[2][2] < 0.999  # below the first layer nothing has changed


@pytest.mark.parametrize("before", [False, True])
def test_everything_is_on_the_device_that_computes(before, triads, tmp_path, monkeypatch):
    device, seen = torch.device("meta"), []

    def hear(backbone, tracks, segment_s, compute, advance):
        parts = [part for attached in backbone.attached for part in attached.parts.parameters()]
        seen.append({value.device for value in (*backbone.parameters(), *backbone.buffers(), *parts)})
        assert compute.device == device and bool(parts) == (before and len(seen) == 1)
        if len(seen) == 1 + before:
            raise KeyError("all are seen")

    monkeypatch.setattr(Compute, "choose", classmethod(lambda cls, *_: Compute(device, False)))
    monkeypatch.setattr("sordino.analysis.states.hear", hear)
    model = Model(load_backbone(**TINY), [make_task("key")], [make_method("lora")], {}, seed=0)
    adapter = save_adapter(model, tmp_path / "x.adapter", TINY, model.backbone.fingerprint(), 2.0)
    words = ["--adapter", str(adapter), "--before"] if before else [f"{k}={v}" for k, v in TINY.items() if k != "name"]
    with pytest.raises(KeyError, match="all are seen"):
        CliRunner().invoke(group, ["analyze", str(triads), *words], catch_exceptions=False)
    assert seen == [{device}] * (1 + before)


def test_layers_are_rows_of_one_pass(triads, tmp_path):
    words = ["layers", str(triads), "--out", str(tmp_path / "runs"), "--report", str(tmp_path / "r")]
    words += ["training.steps=2", "training.segment_s=2.0", "training.precision=float32"]
    words += [f"backbone.{key}={value}" for key, value in TINY.items() if key != "name"]
    told = CliRunner().invoke(group, words, catch_exceptions=False)
    assert told.exit_code == 0, told.output
    text = (tmp_path / "r" / "table.md").read_text()
    assert [line.split("|")[1].strip() for line in text.splitlines() if line.startswith("| ")][1:] == [
        "layer 0", "layer 1", "layer 2", "all layers, learned mix",
    ]  # fmt: skip
    assert "against layer 2" in told.output


def test_models_stand_side_by_side_with_their_best_states(tmp_path):
    for name, (low, high) in {"one": (0.2, 0.7), "other": (0.5, 0.4)}.items():
        told = [{"state": state, "group": group, "r2": r2, "interval": [r2 - 0.1, r2 + 0.1], "correlation": 0.5}
                for group in ("timbre", "tone") for state, r2 in enumerate((low, high))]  # fmt: skip
        row = {"data": "demo", "title": name, "told": told, "gaps": {"timbre - tone": [0.1, 0.0, 0.2]}, "n_tracks": 9}
        (tmp_path / f"{name}.json").write_text(json.dumps(row))
    lines = side_by_side(tmp_path).splitlines()
    assert lines[0] == "**demo, 9 tracks**" and lines[2] == "| model | timbre | tone | timbre - tone |"
    best = "0.700 (0.600 to 0.800), state 1"
    assert lines[4] == f"| one | {best} | {best} | +0.100 (+0.000 to +0.200) |"
    assert "| other | 0.500 (0.400 to 0.600), state 0 |" in lines[5]
