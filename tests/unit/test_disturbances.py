"""Changes of the sound: what they do to known sounds, and what a run tells of them."""

import numpy as np
import pytest
from click.testing import CliRunner

from sordino.cli import group
from sordino.config import load_config
from sordino.disturbances import DISTURBANCES, Disturbance
from sordino.study.report.under import markdown
from sordino.study.rows import rows_of
from sordino.training.adapter_scores import evaluate_adapter
from sordino.training.run import train
from tests.conftest import TINY

RATE_HZ = 24_000
TIME_S = np.arange(4 * RATE_HZ) / RATE_HZ


def changed(name, x, rate_hz=RATE_HZ):
    return Disturbance(name).apply(x.astype(np.float32), rate_hz, np.random.default_rng(0))


def tone(frequency_hz, level=0.2):
    return level * np.sqrt(2) * np.sin(2 * np.pi * frequency_hz * TIME_S)


def level_db(x, under):
    return 10 * np.log10(np.mean(np.square(x)) / np.mean(np.square(under)))


@pytest.mark.parametrize("name", DISTURBANCES)
def test_length_and_type_stay_and_every_draw_is_the_same(name):
    x = tone(440) + 0.01 * np.random.default_rng(1).standard_normal(len(TIME_S))
    first, again = changed(name, x), changed(name, x)
    assert (len(first), first.dtype) == (len(x), np.float32)
    assert np.array_equal(first, again)
    assert np.isfinite(first).all()
    assert not np.allclose(first, x, atol=1e-3)
    assert len(changed(name, x[:37])) == 37


def test_noise_lies_10_db_under_the_music():
    x = tone(440)
    assert level_db(x, changed("noise", x) - x) == pytest.approx(10, abs=0.1)


def test_levels():
    assert level_db(changed("quiet", tone(440)), tone(440)) == pytest.approx(-30, abs=0.01)
    assert level_db(changed("loud", tone(440, 0.02)), tone(440, 0.02)) == pytest.approx(12, abs=0.01)
    assert np.abs(changed("loud", tone(440, 0.5))).max() == 1


def test_a_telephone_lets_speech_through_and_no_bass():
    for frequency_hz, passes in ((60, False), (1_000, True), (8_000, False)):
        left_db = level_db(changed("telephone", tone(frequency_hz)), tone(frequency_hz))
        assert abs(left_db) < 0.5 if passes else left_db < -20


def test_detuned_by_40_cents():
    spectrum = np.abs(np.fft.rfft(changed("detuned", tone(440)) * np.hanning(len(TIME_S)), 8 * len(TIME_S)))
    peak_hz = spectrum.argmax() / (8 * len(TIME_S)) * RATE_HZ
    assert 1200 * np.log2(peak_hz / 440) == pytest.approx(40, abs=1)


def test_mp3_keeps_the_place_and_loses_the_treble():
    click = np.zeros(RATE_HZ)
    click[12_000] = 0.9
    for rate_hz in (16_000, 24_000, 44_100):
        assert abs(int(np.abs(changed("mp3", click, rate_hz)).argmax()) - 12_000) <= 2
    noise = 0.1 * np.random.default_rng(2).standard_normal(len(TIME_S))
    for rate_hz in (16_000, 24_000, 44_100):
        coded = changed("mp3", noise, rate_hz)
        assert 0.3 < np.corrcoef(coded, noise)[0, 1] < 0.99
    with pytest.raises(ValueError, match="no sample rate of 23000"):
        changed("mp3", noise, 23_000)


def test_a_run_tells_what_each_change_costs(triads, tmp_path):
    settings = {"steps": 30, "batch_size": 6, "lr": 3e-2, "precision": "float32"}
    given = {"data": str(triads), "backbone": TINY, "method": "probe", "training": settings}
    runs = [train(load_config(None, (), **given, under=under), tmp_path) for under in ([], ["quiet", "noise"])]
    assert runs[0].folder != runs[1].folder
    assert runs[0].result["tasks"]["key"]["metrics"] == runs[1].result["tasks"]["key"]["metrics"]
    under = runs[1].result["under"]
    assert list(under) == ["quiet", "noise"]
    assert all(row["key"]["n_tracks"] == runs[1].result["tasks"]["key"]["n_tracks"] for row in under.values())
    (row,) = rows_of(runs[1:])
    assert row.under["quiet"][0] == under["quiet"]["key"]["metrics"][row.metric]
    table = markdown([row])
    assert "| method | as it is | quiet | noise |" in table
    assert f"{row.under['noise'][0]:.3f} ({row.under['noise'][0] - row.score:+.3f}" in table
    assert not markdown(rows_of(runs[:1]))
    with pytest.raises(ValueError, match="noise"):
        load_config(None, (), under=["nois"])


def test_an_adapter_is_scored_under_changes(triads, tmp_path):
    settings = {"steps": 4, "batch_size": 6, "precision": "float32"}
    config = load_config(None, (), data=str(triads), backbone=TINY, method="lora", training=settings, under=["mp3"])
    run = train(config, tmp_path)
    scored = evaluate_adapter(run.adapter, triads, under=["mp3", "quiet"])["key"]
    assert list(scored["under"]) == ["mp3", "quiet"]
    assert scored["under"]["mp3"]["metrics"] == run.result["under"]["mp3"]["key"]["metrics"]
    told = CliRunner().invoke(group, ["evaluate", str(run.adapter), "--data", str(triads), "--under", "mp3"])
    assert "weighted_score under mp3" in told.output
    assert not CliRunner().invoke(group, ["evaluate", str(run.adapter), "--data", str(triads), "--under", "x"]).output
