"""Every command and every line of Python in the README works, and its generated parts are up to date.

Commands run as they stand, on a small folder in place of the user's music and with fewer steps.
"""

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

import sordino
from sordino.cli import group
from sordino.datasets import load_dataset
from tests.conftest import TINY

ROOT = Path(__file__).resolve().parent.parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
QUICK = ["training.steps=2", "training.head_first.steps=2", "training.batch_size=4"]
QUICK += [f"backbone.{key}={value}" for key, value in TINY.items()]
COMMANDS = [
    line.partition("#")[0].strip()
    for block in re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
    for line in block.splitlines()
    if line.strip()
]


@pytest.fixture(scope="module")
def desk(triads, tmp_path_factory):
    """A working folder as the README's reader has it."""
    folder = tmp_path_factory.mktemp("desk")
    shutil.copytree(triads.parent, folder / "my_music")
    shutil.copytree(ROOT / "experiments", folder / "experiments")
    for name in ("song.mp3", "other.flac"):
        import soundfile

        wave, rate = soundfile.read(triads.parent / "clip 0.wav")
        soundfile.write(folder / name, wave, rate)
    return folder


def small_demo(*_):
    """The demo set with a few tracks of each split."""
    dataset = load_dataset("demo")
    tracks = [t for t in dataset.tracks() if "key" in t.labels]
    few = [t for split in ("train", "validation", "test") for t in [x for x in tracks if x.split == split][:4]]
    dataset.tracks = lambda: few
    return dataset


def test_every_command_works(desk, monkeypatch):
    monkeypatch.chdir(desk)
    monkeypatch.setattr("sordino.training.plan.load_dataset", lambda name, root=None: (
        small_demo() if name == "demo" else load_dataset(name, root)))  # fmt: skip
    monkeypatch.setattr("sordino.study.choosing.backbones_here", lambda: [TINY])
    assert any(line.startswith("sordino train") for line in COMMANDS)
    for line in COMMANDS:
        program, *words = shlex.split(line)
        if program == "make":
            subprocess.run(["make", "-n", "-C", str(ROOT), *words], check=True, capture_output=True)
            continue
        assert program == "sordino", line
        if words[0] in ("train", "study"):
            words += QUICK if words[0] == "study" else [word for word in QUICK if "head_first" not in word]
        if words[0] == "adapt":
            words[words.index("--budget") + 1] = "1s"
        if words[0] == "study":
            quick = Path("experiments/demo/methods.toml")
            text = quick.read_text(encoding="utf-8")
            quick.write_text(re.sub(r"method = \[.*?\]\n", 'method = ["probe", "lora"]\n', text, flags=re.DOTALL))
        told = CliRunner().invoke(group, words, catch_exceptions=False)
        assert told.exit_code == 0, f"{line}\n{told.output}"
        if words[0] == "train":
            Path("runs/my-run").symlink_to(next(Path("runs").glob("*/model.adapter")).parent.resolve())
    assert Path("runs/methods/table.png").exists()


def test_the_lines_of_python_work(desk, monkeypatch, capsys):
    monkeypatch.chdir(desk)
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    adapt = sordino.adapt
    quick = {"backbone": TINY, "training": {"steps": 2, "batch_size": 4}}
    monkeypatch.setattr(sordino, "adapt", lambda *args, **options: adapt(*args, **options, **quick), raising=False)
    monkeypatch.setattr("sordino.training.plan.load_dataset", small_demo)
    exec(code, {})
    told = capsys.readouterr().out
    assert "weighted_score" in told and re.search(r"(major|minor|none)\n$", told)


def test_generated_pages_are_up_to_date():
    found = subprocess.run([sys.executable, ROOT / "tools/build_docs.py", "--check"], capture_output=True, text=True)
    assert found.returncode == 0, found.stderr


def test_links_lead_somewhere():
    for page in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")]:
        for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text(encoding="utf-8")):
            if "://" not in target:
                assert (page.parent / target).exists(), f"{page.name}: {target}"
