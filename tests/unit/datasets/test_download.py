"""Downloads from a server on this machine: resumed, checked, and nothing of the user's is touched."""

import functools
import hashlib
import http.server
import io
import socket
import tarfile
import threading
import zipfile

import pytest

from sordino.contracts import Archive
from sordino.datasets import _unpack
from sordino.datasets._download import download
from sordino.datasets._unpack import unpack


class Ranges(http.server.SimpleHTTPRequestHandler):
    """Serves ranges, as archives' hosts do; `cut` bytes into a file it breaks off."""

    cut = 0
    tag = ""
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
        if self.headers.get("If-Range", Ranges.tag) != Ranges.tag:
            start = 0
        if start >= len(content):
            return self.send_error(416)
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(content) - start))
        if Ranges.tag:
            self.send_header("ETag", Ranges.tag)
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
        Ranges.asked, Ranges.cut, Ranges.tag = [], 0, ""
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


def test_a_stale_part_is_never_taken_for_whole(served, tmp_path):
    """No checksum is known, and what the server has is another file by now."""
    folder, url = served
    archive, root = Archive(f"{url}/a.zip"), tmp_path / "root"
    part = root / ".downloads" / "any-a.zip.part"
    part.parent.mkdir(parents=True)
    (folder / "a.zip").write_bytes(b"new file, as long")
    for stale in (b"old", b"old file, as long", b"an old file that was longer than the new one"):
        part.write_bytes(stale)
        path = download(archive, root)
        assert path.read_bytes() == b"new file, as long" and not part.exists()
        path.unlink()
    Ranges.tag, Ranges.cut = '"first"', 5
    with pytest.raises(ConnectionError, match="5 bytes are kept"):
        download(archive, root)
    (folder / "a.zip").write_bytes(b"newer still")
    Ranges.tag = '"second"'
    assert download(archive, root).read_bytes() == b"newer still"
    (root / ".downloads" / "any-a.zip").unlink()
    Ranges.cut, Ranges.asked = 5, []
    with pytest.raises(ConnectionError):
        download(archive, root)
    assert download(archive, root).read_bytes() == b"newer still"
    assert Ranges.asked == ["", "bytes=5-"]  # the same tag: it goes on
    assert sorted(path.name for path in (root / ".downloads").iterdir()) == [".any-a.zip.lock", "any-a.zip"]


def test_a_link_in_the_place_of_a_part_is_left_alone(served, tmp_path):
    folder, url = served
    (folder / "a.zip").write_bytes(b"x" * 100)
    (tmp_path / "mine.txt").write_text("mine")
    (tmp_path / "root" / ".downloads").mkdir(parents=True)
    (tmp_path / "root" / ".downloads" / "any-a.zip.part").symlink_to(tmp_path / "mine.txt")
    with pytest.raises(ValueError, match=r"any-a\.zip\.part is a link and is left alone"):
        download(Archive(f"{url}/a.zip"), tmp_path / "root")
    assert (tmp_path / "mine.txt").read_text() == "mine"


def test_an_archive_grows_so_far_and_no_further(tmp_path, monkeypatch):
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("good.txt", "good")
        archive.writestr("zeros.bin", bytes(80 << 20))
    assert (tmp_path / "bomb.zip").stat().st_size < 200_000
    with pytest.raises(ValueError, match=r"bomb\.zip: holds more than 50 times its size"):
        unpack(tmp_path / "bomb.zip", tmp_path / "root")
    assert [path.name for path in (tmp_path / "root").iterdir()] == ["good.txt"]
    monkeypatch.setattr(_unpack, "MOST_MEMBERS", 1)
    with pytest.raises(ValueError, match="more than 1 members"):
        unpack(tmp_path / "bomb.zip", tmp_path / "root")


def test_names_that_only_this_program_gives_are_refused(tmp_path):
    names = [".downloads/any-b.zip", ".song.wav.12-ab.part", "x/.y.1-2.aside", "a" * 300 + ".txt", "good.txt"]
    (tmp_path / "a.zip").write_bytes(zipped(dict.fromkeys(names, "x")))
    assert unpack(tmp_path / "a.zip", tmp_path / "root") == (1, 0, names[:4])


@pytest.mark.parametrize("kind", ["zip", "tar.gz", "tar"])
def test_a_damaged_archive_is_told_and_leaves_whole_files_only(kind, tmp_path):
    path, content = tmp_path / f"a.{kind}", bytes(range(256)) * 400
    if kind == "zip":
        path.write_bytes(zipped({"one.bin": content, "two.bin": content}))
    else:
        with tarfile.open(path, "w:gz" if kind == "tar.gz" else "w") as archive:
            for name in ("one.bin", "two.bin"):
                info = tarfile.TarInfo(name)
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
    data = bytearray(path.read_bytes())
    if kind == "zip":
        data[150_000] ^= 0xFF
    else:
        del data[3 * len(data) // 4 :]
    path.write_bytes(data)
    with pytest.raises(ValueError, match=rf"a\.{kind}: damaged"):
        unpack(path, tmp_path / "root")
    assert all(found.read_bytes() == content for found in (tmp_path / "root").iterdir())


def test_a_table_by_itself_is_put_in_its_folder_and_sha1_is_checked(served, tmp_path):
    folder, url = served
    (folder / "clips-table.csv").write_text("name,genre\na,jazz\n")
    checksum = hashlib.sha1((folder / "clips-table.csv").read_bytes()).hexdigest()
    path = download(Archive(f"{url}/clips-table.csv", checksum), tmp_path)
    assert unpack(path, tmp_path / "annotation") == (1, 0, [])
    assert (tmp_path / "annotation" / "clips-table.csv").read_text() == "name,genre\na,jazz\n"
    with pytest.raises(ValueError, match=r"checksum [0-9a-f]{40}, expected 00"):
        download(Archive(f"{url}/clips-table.csv", "00" * 20), tmp_path)


def test_a_wrong_checksum_and_a_missing_file(served, tmp_path):
    folder, url = served
    (folder / "a.zip").write_bytes(b"something else")
    with pytest.raises(ValueError, match=r"a\.zip: checksum [0-9a-f]{32}, expected 00"):
        download(Archive(f"{url}/a.zip", "00" * 16), tmp_path)
    assert not list((tmp_path / ".downloads").glob("[!.]*"))
    with pytest.raises(ConnectionError, match="404"):
        download(Archive(f"{url}/absent.zip", ""), tmp_path)


def test_offline_is_one_plain_line(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        url = f"http://127.0.0.1:{nobody.getsockname()[1]}/a.zip"
    with pytest.raises(ConnectionError, match=rf"^{url}: Connection refused; 0 bytes are kept, run the command again"):
        download(Archive(url), tmp_path)


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
