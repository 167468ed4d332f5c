"""The page opens what was uploaded to it, and nothing else that a request names."""

import gc
import json
import shutil
import warnings
from http.client import HTTPConnection
from urllib.parse import quote
from urllib.request import Request, urlopen

import pytest

from sordino.serve.limits import Limits
from sordino.serve.residents import Residents

pytestmark = pytest.mark.filterwarnings("ignore")  # of Gradio: deprecated names, sockets that it leaves open
MARK = {"meta": {"_type": "gradio.FileData"}}  # what Gradio knows a file by


@pytest.fixture
def ask(shelf, tmp_path, monkeypatch):
    """A function from a file, as a request gives it, to what the page answers; its `upload` sends one first."""
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "uploads"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of Gradio's own imports
        pytest.importorskip("gradio")
        from sordino.serve.running import Server

        residents = Residents({"key": shelf["key"]}, device="cpu", precision="float32")
        server = Server(residents, Limits())
        server.add_page()

        def send(path, body, kind="application/json"):
            return json.load(urlopen(Request(f"{server.address}/gradio_api/{path}", body, {"Content-Type": kind})))

        def ask(given, names=("key",)):
            asked = {"data": [given, names], "fn_index": 0, "session_hash": "s"}
            send("queue/join", json.dumps(asked).encode())
            with urlopen(f"{server.address}/gradio_api/queue/data?session_hash=s") as told:
                lines = (json.loads(line[6:]) for line in told if line.startswith(b"data: "))
                return next(line for line in lines if line["msg"] == "process_completed")

        def upload(path):
            head = b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.wav"\r\n\r\n'
            return send("upload", head + path.read_bytes() + b"\r\n--x--\r\n", "multipart/form-data; boundary=x")[0]

        def get(path, method="GET"):
            connection = HTTPConnection(server.address.rpartition("/")[2])  # which follows no redirection
            connection.request(method, f"/gradio_api/file{quote(path, '=')}")
            answer = connection.getresponse()
            found = answer.status, answer.read()
            connection.close()
            return found

        ask.upload, ask.get = upload, get
        with server:
            yield ask
    del server, ask
    gc.collect()  # while warnings of what Gradio leaves open are still ignored


def test_only_what_was_uploaded_is_opened(ask, song, tmp_path, monkeypatch):
    uploaded = ask.upload(song)
    assert ask({"path": uploaded, **MARK})["success"]
    (tmp_path / "uploads" / "link").symlink_to(tmp_path)
    shutil.copy(song, tmp_path / "secret.wav")
    monkeypatch.chdir(tmp_path)
    for path in (str(tmp_path / "secret.wav"), "secret.wav", f"{tmp_path}/uploads/../secret.wav",
                 f"{tmp_path}/uploads/link/secret.wav", "http://127.0.0.1:1/a.wav", "file:///etc/passwd"):  # fmt: skip
        for given in ({"path": path, **MARK}, {"path": path}):
            for told in (ask(given), ask({"path": uploaded, **MARK}, [given]), ask([[given]])):
                assert not told["success"], path
                assert "was not uploaded" in told["output"]["error"], path
    assert [each.name for each in (tmp_path / "uploads").rglob("*.wav") if "link" not in each.parts] == ["a.wav"]


def test_only_what_was_uploaded_is_given_out(ask, song, tmp_path, monkeypatch):
    uploaded = ask.upload(song)
    (tmp_path / "uploads" / "link").symlink_to(tmp_path)
    shutil.copy(song, tmp_path / "secret.wav")
    monkeypatch.chdir(tmp_path)
    refused = 403, {"detail": "this file was not uploaded to this page"}
    others = ["http://127.0.0.1:1/a.wav", "https://example.org", "//example.org", "", "\0", f"{uploaded}/../../.."]
    others += ["secret.wav", "/etc/passwd", f"{tmp_path}/secret.wav", f"{tmp_path}/uploads/link/secret.wav"]
    for way in "=/":  # the second was Gradio's once
        assert ask.get(way + uploaded) == (200, song.read_bytes())
        for path in others:
            status, told = ask.get(way + path)
            assert (status, json.loads(told)) == refused, path
    assert ask.get("=http://127.0.0.1:1/a.wav", "HEAD")[0] == 403
