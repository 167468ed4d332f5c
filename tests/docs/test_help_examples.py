"""The example at the end of every verb's help runs as it stands, with a tiny model and fewer steps."""

import contextlib
import functools
import gc
import re
import shlex
import shutil

import click
import numpy as np
import pytest
from click.testing import CliRunner

from sordino.backbones.mini import Mini
from sordino.cli import group
from sordino.datasets import load_dataset
from tests.conftest import TINY
from tests.docs.test_readme import ROOT
from tests.tiny_adapters import adapter
from tests.unit.share.hub_stand_in import Hub, stand_in

VERBS = group.list_commands(click.Context(group))
SLOW = ("adapt", "demo", "layers", "pretrain", "render")
LESS = {"15m": "1s", "20000": "2", "0.1": "0.01", "training.steps=200": "training.steps=2"}
MORE = {
    "pretrain": ["--n-layers", "1", "--dim", "64", "--batch-size", "2", "--processes", "1"],
    "train": ["training.batch_size=4"],
    "study": ["training.batch_size=4"],
    "render": ["--workers", "1"],
}


def example(verb):
    """The first command behind `Example`."""
    told = " ".join((group.get_command(click.Context(group), verb).help or "").split())
    if "Example" not in told:
        told = click.Context(group.get_command(click.Context(group), verb), info_name=verb).get_help()
    command = re.search(r"Example:\s+sordino (.+?)(?:\n|$|    | python )", told)
    return shlex.split(command[1])


@pytest.fixture(scope="module")
def desk(triads, tmp_path_factory):
    """A working folder as a reader of the help has it."""
    import soundfile

    folder = tmp_path_factory.mktemp("desk")
    shutil.copytree(triads.parent, folder / "my_music")
    for album in "abcd":
        (folder / "music" / album).mkdir(parents=True)
        noise = 0.1 * np.random.default_rng(ord(album)).standard_normal(12 * 24_000)
        soundfile.write(folder / "music" / album / "1.wav", noise, 24_000)
    shutil.copytree(triads.parent, folder, dirs_exist_ok=True)
    shutil.copytree(ROOT / "experiments", folder / "experiments")
    wave, rate = soundfile.read(triads.parent / "clip 0.wav")
    soundfile.write(folder / "song.mp3", wave, rate)
    made = adapter(folder / "runs" / "my-run" / "model.adapter", "key")
    tiny = [f"backbone.{key}={value}" for key, value in TINY.items()]
    words = ["train", str(triads), "-t", "key", "-m", "probe", "--out", str(folder / "runs"), "training.steps=2", *tiny]
    CliRunner().invoke(group, words, catch_exceptions=False)
    return folder, made


@pytest.fixture
def at_desk(desk, monkeypatch, tmp_path):
    """In that folder; `mini` is tiny, `demo` has few tracks, the Hub is on this machine, and nothing ships."""
    folder, made = desk
    original = Mini.load.__func__

    @functools.wraps(original)
    def load(cls, weights=None, depth=None, variant="taught", **options):
        if weights is None and not options:
            weights, options = "random", {k: v for k, v in TINY.items() if k not in ("name", "weights")}
        return original(cls, weights, depth, variant, **options)

    def few(name, root=None):
        if name != "demo":
            return load_dataset(name, root)
        dataset = load_dataset("demo")
        tracks = [track for track in dataset.tracks() if "key" in track.labels]
        splits = ("train", "validation", "test")
        chosen = [t for split in splits for t in [x for x in tracks if x.split == split][::12][:8]]
        dataset.tracks = lambda: chosen
        return dataset

    monkeypatch.setattr(Mini, "load", classmethod(load))
    for module in ("training.plan", "study.demo"):
        monkeypatch.setattr(f"sordino.{module}.load_dataset", few)
    monkeypatch.setattr("sordino.datasets.load_dataset", few)
    monkeypatch.setattr("sordino.adapters.FOLDER", tmp_path)
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("SORDINO_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("HF_TOKEN", "a-token")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.chdir(folder)
    with stand_in() as (address, _):
        monkeypatch.setenv("HF_ENDPOINT", address)
        files = {path.name: path.read_bytes() for path in made.iterdir()}
        Hub.repositories["me/my-adapter"] = {"private": False, "files": files}
        yield folder


MARKS = {verb: [pytest.mark.slow] for verb in SLOW} | {"serve": [pytest.mark.filterwarnings("ignore")]}  # of Gradio


@pytest.mark.parametrize("verb", [pytest.param(v, marks=MARKS.get(v, [])) for v in VERBS])
def test_the_example_of_a_verb_runs(verb, at_desk, monkeypatch):
    words = [LESS.get(word, word) for word in example(verb)] + MORE.get(verb, [])
    assert words[0] == verb
    words = [word.replace("~", str(at_desk)) for word in words]
    if verb == "serve":
        pytest.importorskip("gradio")
    if verb == "render":
        monkeypatch.setattr("sordino.render.corpus.render_corpus", lambda folder, hours, *rest: [hours, folder])
    if verb == "study":
        quick = at_desk / words[1]
        text = re.sub(r"method = \[.*?\]\n", 'method = ["probe"]\n', quick.read_text(), flags=re.DOTALL)
        quick.write_text(re.sub(r"steps = \d+", "steps = 2", text).replace("seed = [0, 1, 2]", "seed = [0]"))
    told = CliRunner().invoke(group, words, catch_exceptions=False)
    assert told.exit_code == 0, told.output
    if verb == "serve":
        gc.collect()  # what Gradio leaves open, while its warnings are ignored


def test_every_verb_has_the_common_flags_and_they_are_heard(at_desk, monkeypatch, capsys):
    from sordino.cli import main

    for verb in VERBS:
        names = {param.name for param in group.get_command(click.Context(group), verb).params}
        assert {"quiet", "verbose", "debug"} <= names, verb

    def run(*words):
        monkeypatch.setattr("sys.argv", ["sordino", *words])
        with contextlib.suppress(SystemExit):
            main()
        return capsys.readouterr().err

    assert "GB at most; sordino" in run("list", "tasks", "--verbose") and "GB at most" in run("-v", "list", "tasks")
    assert "GB at most" not in run("list", "tasks")
    assert "Traceback" in run("show", "lorra", "--debug") and "Traceback" not in run("show", "lorra")
    noisy, calm = (run("predict", "my_music", "-a", "runs/my-run/model.adapter", *flags) for flags in ([], ["--quiet"]))
    assert "predict: 1 of 24" in noisy and calm == ""


@pytest.mark.parametrize(
    ("words", "wanted"), [("predict song.mp3 -a ke", "key"), ("show mus", "musicfm"), ("pre", "predict")]
)
def test_words_complete_themselves(words, wanted, tmp_path, monkeypatch):
    from click.shell_completion import BashComplete

    (tmp_path / "key.adapter").mkdir()
    monkeypatch.setattr("sordino.adapters.FOLDER", tmp_path)
    *before, last = words.split()
    found = BashComplete(group, {}, "sordino", "_SORDINO_COMPLETE").get_completions(before, last)
    assert wanted in [item.value for item in found]
