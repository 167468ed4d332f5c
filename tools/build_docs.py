"""Write the generated pages, parts of the README, and the catalogue; with --check, say which are out of date.

A generated part of the README stands between `<!-- name -->` and `<!-- /name -->`.
"""

import ast
import json
import re
import sys
from pathlib import Path
from typing import Any

import click

from sordino import registry
from sordino.analysis.report import side_by_side
from sordino.cli import group
from sordino.config import Config
from sordino.petl import _table
from sordino.settings import flat, options_table, settings
from sordino.study import catalogue
from sordino.study.report import gains

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "src" / "sordino"
sys.path.insert(0, str(ROOT / "benchmarks"))
sys.path.insert(0, str(ROOT / "tools"))
import bench  # noqa: E402  (a program, not part of the package)
import build_capabilities  # noqa: E402  (as well)

FOLDERS = (
    "contracts",
    "decoding",
    "backbones",
    "petl",
    "tasks",
    "datasets",
    "inference",
    "training",
    "study",
    "analysis",
    "pretrain",
    "render",
    "baselines",
    "adapters",
    "song",
    "checks",
    "share",
    "bulk",
    "serve",
    "cli",
)


def first_line(path: Path) -> str:
    """What a file or folder says of itself in one sentence."""
    source = path / "__init__.py" if path.is_dir() else path
    said = (ast.get_docstring(ast.parse(source.read_text(encoding="utf-8"))) or "").split("\n\n")[0]
    return re.sub(r"\s+", " ", said).rstrip(".").replace("``", "`")


def tree() -> str:
    """The package, a line for each file and folder."""
    if unlisted := {path.parent.name for path in PACKAGE.glob("*/__init__.py")} ^ set(FOLDERS):
        raise SystemExit(f"FOLDERS and the folders of the package differ: {', '.join(sorted(unlisted))}")
    entries = sorted(PACKAGE.glob("*.py")) + [PACKAGE / name for name in FOLDERS]
    entries = [path for path in entries if path.name != "__init__.py"]
    order = {"contracts": 0}
    entries.sort(key=lambda path: (order.get(path.name, 1), path.is_dir()))
    names = {path: path.name + ("/" if path.is_dir() else "") for path in entries}
    width = max(map(len, names.values()))
    lines = [f"  {names[path]:<{width}}  {first_line(path)}" for path in entries]
    for kind in ("backbones", "petl", "tasks", "datasets"):
        at = next(i for i, line in enumerate(lines) if line.strip().startswith(f"{kind}/"))
        files = sorted(path.stem for path in (PACKAGE / kind).glob("*.py") if not path.stem.startswith("_"))
        lines.insert(at + 1, wrapped(files, width + 4))
    return "```\nsrc/sordino/\n" + "\n".join(lines) + "\n```"


def wrapped(words: list[str], indent: int, width: int = 118) -> str:
    """Words in lines of `width`, indented."""
    lines, line = [], " " * indent
    for word in words:
        if len(line) + len(word) + 2 > width:
            lines.append(line.rstrip())
            line = " " * indent
        line += f"{word}  "
    return "\n".join([*lines, line.rstrip()])


def datasets_table() -> str:
    """All datasets as Markdown."""
    lines = ["| dataset | labels | tracks | hours | splits | licence |", "|---|---|---:|---:|---|---|"]
    for row in catalogue.catalogue("dataset"):
        tracks = f"{row['tracks']:,}" if row["tracks"] else ""
        cells = [f"`{row['name']}` {row['title']}", ", ".join(row["labels"]), tracks, row["hours"] or "",
                 row["splits"], row["licence"]]  # fmt: skip
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def cli_page() -> str:
    """docs/cli.md: every verb's help."""
    parts = ["# Command line\n\nThis page is generated: `python tools/build_docs.py`.\n"]
    context = click.Context(group, info_name="sordino")
    for verb in group.list_commands(context):
        command = group.get_command(context, verb)
        told = command.get_help(click.Context(command, info_name=verb, parent=context, max_content_width=100))
        parts.append(f"\n## sordino {verb}\n\n```\n{told}\n```\n")
    return "".join(parts)


def settings_page() -> str:
    """docs/settings.md: the settings of a run, and the options of every task, backbone and dataset that has some."""
    head = """# Settings

This page is generated: `python tools/build_docs.py`. What each field may hold stands beside it in the code and is
checked before anything is opened. The methods' options are in [methods.md](methods.md).

## A run

"""
    parts = [head, options_table(flat(Config))]
    for kind in ("task", "backbone", "dataset"):
        owners = {name: registry.maker(kind, name) for name in registry.own_names(kind)}
        parts.append(f"\n## Options of {registry.FOLDERS[kind]}\n")
        for name, owner in owners.items():
            if options := [setting for setting in settings(owner).values() if is_own(owner, setting.name)]:
                parts.append(f"\n### {name}\n\n{options_table(options)}")
    return "".join(parts)


def is_own(owner: Any, option: str) -> bool:
    """Whether an option is one of its owner's own: `root` is the run's, `version` goes where there is another one."""
    return option != "root" and (option != "version" or bool(owner.versions))


def index(readme: str) -> str:
    """docs/index.md: the README, with links as they are from there; what lies elsewhere is named without a link."""
    page = readme.replace("](docs/", "](")
    return re.sub(r"(?<!!)\[([^\]]+)\]\((?!http|#|[a-z_]+\.md)[^)]*\)", r"\1", page)


def replaced(text: str, name: str, content: str) -> str:
    """Text with the part between the marks `name` replaced."""
    pattern = re.compile(rf"(<!-- {name} -->\n).*?(\n<!-- /{name} -->)", re.DOTALL)
    if not pattern.search(text):
        raise SystemExit(f"no marks <!-- {name} --> in this page")
    return pattern.sub(lambda found: found[1] + content.strip() + found[2], text)


def pages() -> dict[Path, str]:
    """What every generated page should be."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for name, content in (("methods", _table.table().strip()), ("tree", tree())):
        readme = replaced(readme, name, content)
    datasets = (ROOT / "docs" / "datasets.md").read_text(encoding="utf-8")
    performance = (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")
    results = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")
    results = replaced(results, "layers", side_by_side(ROOT / "docs" / "results" / "layers"))
    measured = json.loads((ROOT / "docs" / "performance.json").read_text(encoding="utf-8"))
    return {
        ROOT / "README.md": readme,
        ROOT / "docs" / "index.md": index(readme),
        ROOT / "docs" / "methods.md": _table.page(build_capabilities.section()),
        ROOT / "docs" / "datasets.md": replaced(datasets, "datasets", datasets_table()),
        ROOT / "docs" / "performance.md": replaced(performance, "performance", bench.tables(measured)),
        ROOT / "docs" / "results.md": replaced(results, "gains", gains.page(ROOT / "docs" / "results")),
        ROOT / "docs" / "cli.md": cli_page(),
        ROOT / "docs" / "settings.md": settings_page(),
        catalogue.PATH: catalogue.written(),
    }


def main() -> None:
    stale = [p for p, text in pages().items() if not p.exists() or p.read_text(encoding="utf-8") != text]
    if "--check" in sys.argv:
        if stale:
            raise SystemExit("out of date, run tools/build_docs.py: " + ", ".join(p.name for p in stale))
        return
    for path, text in pages().items():
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
