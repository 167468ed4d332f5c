"""Which recordings words mean."""

import io

import pytest
import soundfile

from sordino.bulk.sounds import expand


@pytest.fixture
def music(tmp_path):
    for name in ("a/one.wav", "a/two.flac", "b/one.wav", "b/one.mp3", "b/.hidden.wav", "b/text.txt"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        if path.suffix == ".txt":
            path.write_text("no sound")
        else:
            soundfile.write(path, [0.0] * 800, 8000)
    return tmp_path


def found(given, music, **options):
    return [(sound.path.replace(f"{music}/", ""), sound.name) for sound in expand(map(str, given), **options)]


def test_a_folder_means_all_sounds_below_it_under_names_of_their_own(music):
    assert found([music], music) == [
        ("a/one.wav", "a/one"),
        ("a/two.flac", "a/two"),
        ("b/one.mp3", "b/one.mp3"),
        ("b/one.wav", "b/one.wav"),
    ]


def test_files_and_globs_and_each_file_once(music):
    told = found([music / "b/one.wav", music / "*" / "one.wav", "nowhere.wav"], music)
    assert told == [("b/one.wav", "b_one.wav"), ("a/one.wav", "a_one.wav"), ("nowhere.wav", "nowhere")]


def test_playlists_and_tables_name_files_beside_themselves(music):
    (music / "list.m3u8").write_text("#EXTM3U\n#EXTINF:1,One\na/one.wav\n\nb/one.mp3\n", encoding="utf-8")
    (music / "list.csv").write_text("File,key\na/two.flac,C\n")
    (music / "bad.csv").write_text("name,key\na/two.flac,C\n")
    assert found([music / "list.m3u8", music / "list.csv"], music) == [
        ("a/one.wav", "one.wav"), ("b/one.mp3", "one.mp3"), ("a/two.flac", "two")]  # fmt: skip
    with pytest.raises(ValueError, match=r"bad.csv line 2: no column with a path"):
        expand([str(music / "bad.csv")])


def test_stdin_has_paths_or_a_sound(music):
    paths = io.BytesIO(b"x/one.wav\ny/two.wav\n")
    assert found(["-"], music, stdin=paths) == [("x/one.wav", "one"), ("y/two.wav", "two")]
    for name in ("a/two.flac", "b/one.mp3", "a/one.wav"):
        (sound,) = expand(["-"], stdin=io.BytesIO((music / name).read_bytes()))
        assert sound.name == "stdin" and soundfile.info(sound.path).duration == pytest.approx(0.1, abs=0.1)


@pytest.mark.parametrize("given", ["empty", "*.ogg", "-"])
def test_what_means_nothing_is_told(music, given, monkeypatch):
    monkeypatch.chdir(music)
    (music / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match="no sound file"):
        expand([given], stdin=io.BytesIO(b"\n"))


def test_a_place_that_fsspec_knows(music):
    fsspec = pytest.importorskip("fsspec")
    files = fsspec.filesystem("memory")
    for name in ("a/one.wav", "a/two.flac"):
        files.pipe(f"/bucket/{name}", (music / name).read_bytes())
    assert [(s.path, s.name) for s in expand(["memory://bucket"])] == [
        ("memory:///bucket/a/one.wav", "a/one"), ("memory:///bucket/a/two.flac", "a/two")]  # fmt: skip
    assert [s.name for s in expand(["memory://bucket/*/*.flac"])] == ["two"]
