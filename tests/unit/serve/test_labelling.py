"""Search by example, confirm, reject, learn, save: on tones whose kind is known."""

import csv
import shutil

import numpy as np
import pytest
import soundfile

from sordino.adapter_file import read_card
from sordino.compute import Compute
from sordino.datasets import load_dataset
from sordino.inference import Predictor
from sordino.serve.heard import Ear, hear
from sordino.serve.labelling import Labelling
from sordino.serve.residents import Residents
from sordino.serve.rooms import Rooms
from sordino.tasks import make_task
from tests.conftest import RATE_HZ, TINY

BRIGHT, N = "bright", 12


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Songs 0, 2, 4, ... are hiss, the others hum; one is broken."""
    folder, random = tmp_path_factory.mktemp("songs"), np.random.default_rng(0)
    for number in range(N):
        noise = random.standard_normal(int((2.3 if number % 3 else 1.2) * RATE_HZ))
        wave = np.diff(noise, prepend=0) if number % 2 == 0 else np.cumsum(noise - noise.mean())
        soundfile.write(folder / f"{number:02}.wav", 0.1 * wave / np.abs(wave).max(), RATE_HZ)
    (folder / "broken.wav").write_bytes(b"RIFF....")
    return folder


@pytest.fixture(scope="module")
def ear():
    return Ear(TINY, 1.0, Compute.choose("cpu", "float32"))


@pytest.fixture(scope="module")
def heard(folder, ear):
    return hear(folder, ear)


@pytest.fixture
def labelling(heard, ear):
    return Labelling(heard, ear)


def test_a_folder_is_heard_once(folder, ear, heard, monkeypatch):
    assert heard.names == [f"{number:02}.wav" for number in range(N)] and len(heard.broken) == 1
    assert heard.mean(np.ones(len(heard.songs))) == pytest.approx(np.ones(N))
    monkeypatch.setattr("sordino.audio.read", lambda *_: pytest.fail("decoded again"))
    again = hear(folder, ear)
    assert np.array_equal(again.vectors, heard.vectors)


def test_every_folder_has_a_name_of_its_own(tmp_path, ear):
    given = [tmp_path / name for name in ("音楽", "映画", "folk", "映画")]
    rooms = Rooms(given, tmp_path, Residents({}), lambda: ear)
    assert rooms.names == ["folder", "folder-2", "folk"]
    for folder in given[:3]:
        folder.mkdir()
        soundfile.write(folder / f"{folder.name}.wav", np.zeros(RATE_HZ), RATE_HZ)
    assert [rooms.open(name).heard.names for name in rooms.names] == [[f"{folder.name}.wav"] for folder in given[:3]]


def test_a_song_that_overflows_is_broken_and_the_others_are_heard(folder, ear, tmp_path):
    shutil.copy(folder / "00.wav", tmp_path)
    huge = (1e30 * np.random.default_rng(0).standard_normal(RATE_HZ)).astype(np.float32)
    soundfile.write(tmp_path / "huge.wav", huge, RATE_HZ, subtype="FLOAT")
    found = hear(tmp_path, ear)
    assert found.names == ["00.wav"]
    (told,) = found.broken
    assert told.startswith(f"{tmp_path / 'huge.wav'}: a row holds infinity or nan") and "overflow" in told


def test_search_by_example_finds_its_like(labelling, ear, folder):
    found = labelling.suggest(BRIGHT, N, example=4)
    assert {song for song, _ in found[:5]} == {0, 2, 6, 8, 10}
    assert labelling.suggest(BRIGHT, 1, example=ear.file(folder / "03.wav"))[0][0] == 3
    assert labelling.suggest(BRIGHT, 2) == [(0, 0.0), (1, 0.0)]  # nothing to go by yet


def test_a_head_learns_from_what_was_confirmed_and_rejected(labelling):
    labelling.mark(0, BRIGHT, True)
    assert not labelling.can_learn(BRIGHT)
    assert {song for song, _ in labelling.suggest(BRIGHT, 5)} == {2, 4, 6, 8, 10}  # like what was confirmed
    with pytest.raises(ValueError, match="confirm one song and reject one"):
        labelling.probabilities(BRIGHT)
    labelling.mark(1, BRIGHT, False)
    values = labelling.probabilities(BRIGHT)
    assert ((values >= 0.5) == (np.arange(N) % 2 == 0)).all()
    assert labelling.suggest(BRIGHT, 1)[0][0] == max(range(2, N), key=lambda song: values[song])
    assert labelling.suggest(BRIGHT, 1, "unsure")[0][0] == min(range(2, N), key=lambda song: abs(values[song] - 0.5))
    assert labelling.agreement(BRIGHT) is None
    for song in range(2, 8):
        labelling.mark(song, BRIGHT, song % 2 == 0)
    assert labelling.agreement(BRIGHT) == 1.0
    for song in range(8):  # what is said at random cannot be known of songs that were not seen
        labelling.mark(song, BRIGHT, song % 4 < 2)
    assert labelling.agreement(BRIGHT) < 0.8
    labelling.mark(0, BRIGHT, None)
    assert 0 in [song for song, _ in labelling.suggest(BRIGHT, N)]


def test_the_regression_is_scikit_learns(labelling):
    linear_model = pytest.importorskip("sklearn.linear_model")
    said = {0: True, 2: True, 5: True, 1: False, 3: False}
    weight, bias = labelling._fit(said)
    used = np.isin(labelling.heard.songs, list(said))
    y = np.array([said[song] for song in labelling.heard.songs[used]])
    share = labelling.heard.weights[used] * np.where(y, 0.5 / 3, 0.5 / 2)
    reference = linear_model.LogisticRegression(C=1 / 0.03, tol=1e-8, max_iter=10_000)
    reference.fit(labelling._normed[used], y, share)
    assert weight == pytest.approx(reference.coef_[0], abs=2e-3)
    assert bias == pytest.approx(reference.intercept_[0], abs=2e-3)


def test_the_saved_adapter_answers_as_the_loop_did_and_its_labels_can_be_read(labelling, ear, tmp_path):
    with pytest.raises(ValueError, match=r"labels.csv is written, but no tag"):
        labelling.save(tmp_path / "none")
    for song in range(4):
        labelling.mark(song, BRIGHT, song % 2 == 0)
        labelling.mark(song, "slow", song < 2)
    labelling.mark(5, BRIGHT, False)
    adapter = labelling.save(tmp_path / "mine")
    assert "2 confirmed, 3 rejected, 100% agreement" in read_card(adapter)["origin"]
    predictor = Predictor([adapter], device="cpu", precision="float32")
    for song in (3, 7):
        answer = predictor.file(labelling.heard.paths[song])["tagging"]
        told = {tag: labelling.probabilities(tag)[song] for tag in (BRIGHT, "slow")}
        assert answer.details["probabilities"] == pytest.approx(told, abs=1e-4)

    rows = list(csv.DictReader((tmp_path / "mine" / "labels.csv").read_text().splitlines()))
    assert [row[BRIGHT] for row in rows] == ["yes", "no", "yes", "no", "no"]
    assert [row["tags"] for row in rows] == ["bright; slow", "slow", "bright", ";", ""]
    task = make_task("tagging")
    tracks = list(load_dataset(tmp_path / "mine" / "labels.csv").tracks())
    assert [task.read(track) for track in tracks] == [[BRIGHT, "slow"], ["slow"], [BRIGHT], [], None]

    again = Labelling(labelling.heard, ear)
    assert again.load(tmp_path / "mine") == 9 and again.marks == labelling.marks
    assert again.load(tmp_path) == 0


def test_a_table_that_was_changed_by_hand_is_read(labelling, folder, tmp_path):
    rows = [f"{folder / '00.wav'},,yes,a cell too many", f"{folder / '01.wav'},,no", f"{folder / 'gone.wav'},,yes"]
    (tmp_path / "labels.csv").write_text("\n".join(["path,tags,bright", *rows]))
    assert labelling.load(tmp_path) == 2 and labelling.marks == {BRIGHT: {0: True, 1: False}}


def test_the_telling_part_of_a_song_is_played(ear, tmp_path):
    """Silence, but for hiss in the third second of one song."""
    hiss = 0.1 * np.random.default_rng(0).standard_normal(RATE_HZ)
    for name, part in (("a", 2), ("b", None)):
        wave = np.zeros((4, RATE_HZ))
        if part:
            wave[part] = hiss
        soundfile.write(tmp_path / f"{name}.wav", wave.reshape(-1), RATE_HZ)
    labelling = Labelling(hear(tmp_path, ear), ear)
    assert not labelling.excerpt(0, "hiss").samples.any()
    labelling.mark(0, "hiss", True)
    labelling.mark(1, "hiss", False)
    assert np.std(labelling.excerpt(0, "hiss").samples) == pytest.approx(0.1, abs=0.01)


@pytest.mark.parametrize(("song", "tag"), [(0, " "), (0, "a;b"), (0, "path"), (N, "fine"), (-1, "fine")])
def test_what_is_no_mark(song, tag, labelling):
    with pytest.raises(ValueError, match=r"is no tag|there is no song"):
        labelling.mark(song, tag, True)
