"""Adapters onto the Hub and back, against a stand-in of its HTTP interface; what the Hub reads of the card."""

import json

import pytest
from click.testing import CliRunner

import sordino
from sordino.adapter_file import read_card
from sordino.cli import group
from sordino.hub import parse, pull, push
from sordino.model_card import base_model, forbids_commercial_use, model_card, warning
from tests.tiny_adapters import adapter
from tests.unit.share.hub_stand_in import stand_in


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return adapter(tmp_path_factory.mktemp("share") / "key.adapter", "key")


def offline(patch, whether):
    from huggingface_hub.utils import _http

    patch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", whether)
    # The next session asks again whether it may; the name changed with huggingface_hub 1.0.
    (_http.close_session if hasattr(_http, "close_session") else _http.reset_sessions)()


@pytest.fixture
def hub(tmp_path, monkeypatch):
    with stand_in() as (address, served):
        monkeypatch.setenv("HF_ENDPOINT", address)
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
        monkeypatch.setattr("huggingface_hub.file_download.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True)
        offline(monkeypatch, False)
        monkeypatch.setenv("HF_TOKEN", "a-token")
        yield served


def test_what_is_pushed_is_pulled(hub, tiny, tmp_path, triads):
    push(tiny, "me/keys", private=True)
    served = hub.repositories["me/keys"]
    assert served["private"] and set(served["files"]) == {"adapter.safetensors", "adapter.json", "README.md"}
    assert ("/api/repos/create", "Bearer a-token") in hub.asked
    folder = pull("hf:me/keys", tmp_path / "mine.adapter")
    for name in served["files"]:
        assert (folder / name).read_bytes() == (tiny / name).read_bytes()
    song = triads.parent / "clip 0.wav"
    there = sordino.load("hf:me/keys")(song)
    assert there["key"].value == sordino.load(tiny)(song)["key"].value


def test_the_verbs_say_where_it_is(hub, tiny, tmp_path):
    told = CliRunner().invoke(group, ["push", str(tiny), "me/keys"], catch_exceptions=False)
    assert told.stdout.strip().endswith("/me/keys")
    told = CliRunner().invoke(group, ["pull", "me/keys", "--out", str(tmp_path / "a")], catch_exceptions=False)
    assert told.stdout.strip() == str(tmp_path / "a") and read_card(tmp_path / "a")["tasks"][0]["name"] == "key"


def test_what_is_not_there_is_told_in_one_line(hub, tiny, tmp_path, monkeypatch):
    with pytest.raises(FileNotFoundError, match=r"^me/none is not here and cannot be downloaded \(Repository"):
        pull("me/none")
    offline(monkeypatch, True)
    with pytest.raises(FileNotFoundError, match=r"is not here and cannot be downloaded \(LocalEntryNotFound"):
        pull("me/keys")
    offline(monkeypatch, False)
    push(tiny, "me/keys")
    del hub.repositories["me/keys"]["files"]["adapter.json"]
    with pytest.raises(FileNotFoundError, match=r"is no adapter of sordino: it holds no adapter\.json"):
        pull("me/keys")
    monkeypatch.setenv("HF_TOKEN", "")
    monkeypatch.setattr("huggingface_hub.utils._headers.get_token", lambda: None)
    with pytest.raises(OSError, match=r"could not be written .*hf auth login"):
        push(tiny, "me/other")


def test_a_folder_that_is_no_adapter_is_left_alone(hub, tiny, tmp_path):
    push(tiny, "me/keys")
    (tmp_path / "music").mkdir()
    (tmp_path / "music" / "song.wav").write_bytes(b"mine")
    with pytest.raises(ValueError, match=r"music is there and holds song\.wav; nothing was written"):
        pull("me/keys", tmp_path / "music")
    assert (tmp_path / "music" / "song.wav").read_bytes() == b"mine"
    assert pull("me/keys", pull("me/keys", tmp_path / "mine.adapter")) == tmp_path / "mine.adapter"  # an adapter is


def test_errors_without_words_are_told_too(monkeypatch, tiny):
    def late(*args, **options):
        raise TimeoutError

    monkeypatch.setattr("huggingface_hub.hf_hub_download", late)
    monkeypatch.setattr("huggingface_hub.HfApi.create_repo", late)
    with pytest.raises(FileNotFoundError, match=r"cannot be downloaded \(TimeoutError"):
        pull("me/keys")
    with pytest.raises(OSError, match=r"could not be written \(TimeoutError"):
        push(tiny, "me/keys")


def test_names_on_the_hub():
    assert parse("hf:me/keys@v1.0") == ("me/keys", "v1.0") and parse("me/keys") == ("me/keys", None)
    with pytest.raises(ValueError, match="is no repository of the Hub"):
        parse("keys")


def test_the_hub_finds_what_it_looks_for_in_the_card(tiny):
    from huggingface_hub import ModelCardData
    from huggingface_hub.repocard import ModelCard

    card = read_card(tiny)
    card["backbone"] = {**card["backbone"], "name": "mert", "weights_from": "m-a-p/MERT-v1-95M@12345678"}
    card |= {"licence_of_weights": "CC-BY-NC-4.0", "data": "demo", "metrics": {"key": {"weighted_score": 0.75}}}
    text = model_card("key.adapter", card)
    data = ModelCard(text).data
    assert isinstance(data, ModelCardData) and data.library_name == "sordino" and data.license == "cc-by-nc-4.0"
    assert data.base_model == "m-a-p/MERT-v1-95M" and "base_model:adapter:m-a-p/MERT-v1-95M" in data.tags
    assert data.datasets == ["demo"] and data.metrics == ["weighted_score"]
    (result,) = data.eval_results
    assert (result.task_name, result.dataset_name, result.metric_value) == ("key", "demo", 0.75)
    assert "forbids commercial use" in text and "forbids commercial use" in warning("key.adapter", card)


def test_licences_that_forbid_commercial_use():
    assert [forbids_commercial_use(name) for name in ("CC-BY-NC-4.0", "MIT", None, "non-commercial", "NCSA")] == [
        True, False, False, True, False]  # fmt: skip


def test_a_backbone_that_is_not_on_the_hub_is_no_base_model(tiny):
    card = json.loads((tiny / "adapter.json").read_text())
    assert base_model(card) is None and warning("x", card) is None
    assert "base_model" not in (tiny / "README.md").read_text()
