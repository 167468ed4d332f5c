"""The HTTP API answers as the command line does, keeps its limits, and opens nothing that it is told to."""

import json
import shutil
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pytest
import soundfile

from sordino import audio
from sordino.adapter_file import read_card
from sordino.inference import Predictor
from sordino.serve.residents import Residents
from tests.conftest import TINY
from tests.tiny_adapters import adapter


def upload(client, name, folder):
    files = {
        "description": (folder / "adapter.json").open("rb"),
        "tensors": (folder / "adapter.safetensors").open("rb"),
    }
    with files["description"], files["tensors"]:
        return client.put(f"/v1/adapters/{name}", files=files)


def test_a_sound_is_answered_as_by_a_predictor(client, shelf, song):
    alone = Predictor([shelf["key"], shelf["beat"]], device="cpu", precision="float32").file(song).plain()
    answer = client().post(
        "/v1/answers", params={"adapter": ["key", "beat"], "name": "mine.wav"}, content=song.read_bytes()
    )
    assert answer.status_code == 200
    assert answer.json() == json.loads(json.dumps({**alone, "path": "mine.wav"}))
    everything = client().post("/v1/answers", content=song.read_bytes()).json()
    assert list(everything)[2:] == ["key", "beat", "mood", "tempo"] and everything["path"] == "sound"


def test_answers_as_tables_and_jams(client, song):
    ask = {"adapter": "beat", "name": "a.wav"}
    table = client().post("/v1/answers", params={**ask, "form": "csv"}, content=song.read_bytes()).text
    assert table.startswith("path,task,start_s") and "\na.wav,beat," in table
    jams = client().post("/v1/answers", params={**ask, "form": "jams"}, content=song.read_bytes()).json()
    assert [each["namespace"] for each in jams["annotations"]] == ["beat"]


def test_the_api_describes_itself(client):
    told = client(sound_s=12.0).get("/openapi.json").json()
    assert set(told["paths"]) == {"/v1/health", "/v1/adapters", "/v1/answers", "/v1/adapters/{name}"}
    assert "12 s of sound" in told["info"]["description"]
    assert "application/octet-stream" in told["paths"]["/v1/answers"]["post"]["requestBody"]["content"]
    assert {"413", "503", "504"} <= set(told["paths"]["/v1/answers"]["post"]["responses"])
    assert set(client(swap=False).get("/openapi.json").json()["paths"]["/v1/adapters"]) == {"get"}


def test_residents_come_and_go(client, residents, shelf, song, tmp_path):
    mine, backbone = (
        adapter(tmp_path / "mine.adapter", "key", "adapter", seed=5),
        residents.predictor.passes[0].backbone,
    )
    here = client(adapters=4)
    assert upload(here, "mine", mine).json() == {
        "name": "mine", "tasks": {"mine": "key"}, "backbone": "mini", "methods": ["adapter"],
        "licence": backbone.licence, "parameters": here.get("/v1/adapters").json()[3]["parameters"],
    }  # fmt: skip
    alone = Predictor([mine], device="cpu", precision="float32").file(song)["key"].value
    assert here.post("/v1/answers?adapter=mine", content=song.read_bytes()).json()["mine"]["value"] == alone
    assert residents.predictor.members[-1].backbone is residents.predictor.members[0].backbone  # no copy of the weights
    assert upload(here, "mine", mine).status_code == 409
    assert upload(here, "one-more", mine).status_code == 413
    assert here.delete("/v1/adapters/mine").status_code == 204
    assert here.delete("/v1/adapters/mine").status_code == 404
    assert "mine" not in here.get("/v1/health").json()["adapters"]
    assert here.delete("/v1/adapters/tempo").status_code == 204  # a plain estimator
    assert here.post("/v1/answers?adapter=mine", content=song.read_bytes()).status_code == 404
    assert upload(client(swap=False), "mine", mine).status_code == 404


def test_limits_are_kept(client, song):
    body = song.read_bytes()
    assert client(upload_mb=0.001).post("/v1/answers", content=body).status_code == 413
    unknown_length = client(upload_mb=0.001).post("/v1/answers", content=iter([body[:900], body[900:]]))
    assert unknown_length.status_code == 413 and "0.001 MB" in unknown_length.json()["detail"]
    longer = client(sound_s=1.0).post("/v1/answers?name=a.wav", content=body)
    assert longer.status_code == 413 and longer.json()["detail"].startswith("a.wav: ")
    late = client(timeout_s=1e-9).post("/v1/answers", content=body)
    assert late.status_code == 504
    busy = client(parallel=1, queue=1)
    with busy.desk.place(), busy.desk.place():
        refused = busy.post("/v1/answers", content=body)
        assert refused.status_code == 503 and refused.headers["retry-after"]
    assert busy.post("/v1/answers?adapter=key", content=body).status_code == 200


def test_a_place_is_taken_until_nothing_is_computed_for_it(client):
    desk, begun, go_on = client(parallel=1, queue=0, timeout_s=0.05).desk, threading.Event(), threading.Event()
    with pytest.raises(TimeoutError), desk.place() as place:
        place.result(lambda check: (begun.set(), go_on.wait()))
    with pytest.raises(RuntimeError, match="ask again later"), desk.place():
        pass
    go_on.set()
    place.job.result()
    while not desk._free.acquire(blocking=False):  # given back in that thread
        pass


@pytest.mark.parametrize("name", ["/etc/passwd", "../../etc/passwd", "http://127.0.0.1:1/a.wav", "song.wav\0.mp3"])
def test_a_name_is_no_path(name, client, song, monkeypatch):
    opened, really = [], audio.opened
    monkeypatch.setattr("sordino.audio.opened", lambda path: opened.append(str(path)) or really(path))
    here = client()
    answer = here.post("/v1/answers", params={"name": name, "adapter": "key"}, content=song.read_bytes())
    assert answer.json()["path"] == name
    assert {Path(path).parent.parent for path in opened} == {Path(tempfile.gettempdir())}
    assert here.post("/v1/answers", params={"adapter": name}, content=song.read_bytes()).status_code == 404
    files = {"description": b"{}", "tensors": b""}
    assert here.put(f"/v1/adapters/{quote(name, safe='')}", files=files).status_code in (404, 422)


@pytest.mark.parametrize("body", [b"", b"no sound", b"ffconcat version 1.0\nfile '%s'\n"])
def test_what_is_no_sound_is_told_in_a_line(body, client, song):
    body = body.replace(b"%s", str(song).encode())
    answer = client().post("/v1/answers", params={"name": "list.m3u8"}, content=body)
    assert answer.status_code == 422 and answer.json()["detail"].startswith("list.m3u8: ")
    assert "/tmp" not in answer.json()["detail"].replace(str(song), "")


def test_an_adapter_of_other_weights_is_refused_and_nothing_that_it_names_is_opened(client, tmp_path, monkeypatch):
    other = adapter(tmp_path / "other.adapter", "key", spec={**TINY, "dim": 64})
    card = json.loads((other / "adapter.json").read_text())
    card["backbone"]["weights"] = str(tmp_path / "secret")
    (other / "adapter.json").write_text(json.dumps(card))
    monkeypatch.setattr("sordino.inference.predictor.backbone_of", lambda *_: pytest.fail("opened"))
    refused = upload(client(), "other", other)
    assert refused.status_code == 422 and "other weights" in refused.json()["detail"]


def test_a_damaged_adapter_is_refused(client, shelf, tmp_path):
    shutil.copytree(shelf["key"], tmp_path / "bad")
    (tmp_path / "bad" / "adapter.safetensors").write_bytes(b"\xff" * 64)
    refused = upload(client(), "bad", tmp_path / "bad")
    assert refused.status_code == 422 and str(refused.json()["detail"]).startswith("bad/adapter.safetensors")
    assert read_card(shelf["key"])["format"] == 1


def test_sixty_four_adapters_on_one_backbone_answer_as_alone_and_are_swapped_meanwhile(shelf, song):
    """1, 8 and 64 on one set of weights; who asks is answered the same while others come and go."""
    residents = Residents({"key": shelf["key"]}, device="cpu", precision="float32")
    alone, _ = residents.answer(song, ["key"])
    for number in range(1, 64):
        residents.add(f"key-{number}", shelf["key" if number % 2 else "beat"])
    with pytest.raises(ValueError, match="64 adapters are resident"):
        residents.add("key-64", shelf["key"])
    first, *others = residents.predictor.members
    assert all(other.backbone is first.backbone for other in others)

    def swap():
        for _ in range(3):
            residents.remove("key-7")
            residents.add("key-7", shelf["key"])

    with ThreadPoolExecutor(2) as pool:
        swapping = pool.submit(swap)
        answers = [residents.answer(song, names)[0] for names in ([], ["key", "key-1"], ["key-3"] * 2)]
        swapping.result()
    for answer in answers:
        for name, found in answer.answers.items():
            if name != "key" and int(name[4:]) % 2 == 0:
                continue
            assert found.value == alone["key"].value
            assert found.confidence == pytest.approx(alone["key"].confidence, abs=1e-5)
    assert len(answers[0].answers) >= 63


def test_samples_and_names_are_checked(shelf, residents):
    from sordino.inference import Wave

    answer, tasks = residents.answer(Wave(np.zeros(24_000, np.float32), 24_000), ["tempo"], "silence")
    assert answer.path == "silence" and list(tasks) == ["tempo"]
    with pytest.raises(ValueError, match="no name for an adapter"):
        Residents({"a/b": shelf["key"]})


def test_a_long_header_is_not_believed(client, tmp_path):
    """What says to be short and is long is cut at what it says; what says to be long is refused at once."""
    soundfile.write(tmp_path / "a.wav", np.zeros(8_000 * 30), 8_000, "PCM_U8")
    assert client(sound_s=10.0).post("/v1/answers", content=(tmp_path / "a.wav").read_bytes()).status_code == 413
