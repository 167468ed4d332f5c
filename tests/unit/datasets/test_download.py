"""Downloads from a server on this machine: resumed, checked, and nothing of the user's is touched."""

import functools
import hashlib
import http.server
import io
import tarfile
import threading
import zipfile

import pytest

from sordino.contracts import Archive
from sordino.datasets._download import download, unpack


class Ranges(http.server.SimpleHTTPRequestHandler):
    """Serves ranges, as archives' hosts do; `cut` bytes into a file it breaks off."""

    cut = 0
    asked: list[str] = []

    def log_message(self, *args):
        pass

    def do_GET(self):
        path = self.translate_path(self.path)
        try:
            with open(path, "rb") as file:  # noqa: PTH123
                content = file.read()
        except OSError:
            return self.send_error(404)
        wanted = self.headers.get("Range", "")
        Ranges.asked.append(wanted)
        start = int(wanted.removeprefix("bytes=").rstrip("-") or 0)
        if start >= len(content):
            return self.send_error(416)
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        end, Ranges.cut = (Ranges.cut or len(content)), 0
        self.wfile.write(content[start:end])


@pytest.fixture
def served(tmp_path):
    folder = tmp_path / "served"
    folder.mkdir()
    handler = functools.partial(Ranges, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        Ranges.asked, Ranges.cut = [], 0
        yield folder, f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def zipped(files):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def test_a_broken_download_goes_on_where_it_stopped(served, tmp_path):
    folder, url = served
    content = zipped({"a.txt": "x" * 5_000})
    (folder / "data file.zip").write_bytes(content)
    archive = Archive(f"{url}/data%20file.zip?download=1", hashlib.md5(content).hexdigest())
    root = tmp_path / "root"
    Ranges.cut = 2_000
    with pytest.raises(ConnectionError, match="2,000 bytes are kept, run the command again to go on"):
        download(archive, root)
    seen = []
    path = download(archive, root, lambda done, total: seen.append((done, total)))
    assert path.read_bytes() == content
    assert Ranges.asked == ["", "bytes=2000-"]
    assert seen[-1] == (len(content), len(content))
    assert download(archive, root) == path and len(Ranges.asked) == 2
    assert list(root.rglob("*.part")) == []


def test_a_whole_part_needs_no_more_bytes(served, tmp_path):
    folder, url = served
    (folder / "a.zip").write_bytes(b"whole")
    root = tmp_path / "root"
    (root / ".downloads").mkdir(parents=True)
    (root / ".downloads" / "any-a.zip.part").write_bytes(b"whole")
    assert download(Archive(f"{url}/a.zip", ""), root).read_bytes() == b"whole"


def test_a_wrong_checksum_and_a_missing_file(served, tmp_path):
    folder, url = served
    (folder / "a.zip").write_bytes(b"something else")
    with pytest.raises(ValueError, match=r"a\.zip: checksum [0-9a-f]{32}, expected 00"):
        download(Archive(f"{url}/a.zip", "00" * 16), tmp_path)
    assert not any((tmp_path / ".downloads").iterdir())
    with pytest.raises(ConnectionError, match="404"):
        download(Archive(f"{url}/absent.zip", ""), tmp_path)


def test_nothing_of_the_users_is_overwritten(tmp_path):
    (tmp_path / "a.zip").write_bytes(zipped({"audio/mine.wav": "theirs", "audio/new.wav": "new"}))
    mine = tmp_path / "root" / "audio" / "mine.wav"
    mine.parent.mkdir(parents=True)
    mine.write_text("mine")
    assert unpack(tmp_path / "a.zip", tmp_path / "root") == (1, 1, [])
    assert mine.read_text() == "mine" and mine.with_name("new.wav").read_text() == "new"


def test_nothing_leaves_the_folder(tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    root = tmp_path / "root"
    root.mkdir()
    (root / "linked").symlink_to(outside)
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as archive:
        for name in ("../up.txt", "linked/through.txt", "/absolute.txt", "good/ü.txt"):
            info = tarfile.TarInfo(name)
            info.size = 2
            archive.addfile(info, io.BytesIO(b"ok"))
        link = tarfile.TarInfo("link")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/hosts"
        archive.addfile(link)
    written, kept, refused = unpack(tmp_path / "a.tar.gz", root)
    assert (written, kept) == (1, 0) and (root / "good" / "ü.txt").read_text() == "ok"
    assert refused == ["../up.txt", "linked/through.txt", "/absolute.txt", "link"]
    assert list(outside.iterdir()) == [] and not (tmp_path / "up.txt").exists()
    (tmp_path / "no.zip").write_text("no archive")
    with pytest.raises(ValueError, match="neither zip nor tar"):
        unpack(tmp_path / "no.zip", root)
