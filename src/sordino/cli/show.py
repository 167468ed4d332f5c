"""`sordino show`: everything about one backbone, method, task or dataset, or about an adapter or a run on disk."""

from __future__ import annotations

import click

from sordino.cli.completion import everything


@click.command()
@click.argument("name", shell_complete=everything)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--plot", metavar="FILE", type=click.Path(dir_okay=False), help="Draw a run's learning curves.")
def command(name, as_json, plot):
    """Show what NAME is, where it comes from, its options, and for a backbone its sites and where its weights are.

    NAME may be a folder: an adapter (or hf:user/name, or one that ships with sordino), or a run, finished or not.

    Example: sordino show mini
    """
    import json
    from pathlib import Path

    from sordino.adapters import ON_THE_HUB, locate, shipped
    from sordino.study.catalogue import describe

    folder = Path(name)
    if plot and not (folder / "log.jsonl").is_file():
        raise click.UsageError(f"--plot draws the learning curves of a run; {name} has no log.jsonl")
    if plot:
        from sordino.study.curves import draw

        click.echo(draw(folder, plot))
        return
    if (folder / "config.json").is_file() and (folder / "log.jsonl").is_file():
        described = run(folder)
    elif folder.is_dir() or name.startswith(ON_THE_HUB) or ("/" in name) or is_only_an_adapter(name, shipped(name)):
        described = adapter(locate(name), name)
    else:
        described = describe(name)
    if as_json:
        click.echo(json.dumps(described))
        return
    about = described.pop("about")
    described = {key: value for key, value in described.items() if value not in ("", {})}
    width = max(map(len, described))
    for key, value in described.items():
        if isinstance(value, dict):
            click.echo(f"{key.replace('_', ' ')}:")
            for inner, told in value.items():
                click.echo(f"  {inner:<{max(map(len, value))}}  {told}")
        else:
            click.echo(f"{key.replace('_', ' '):<{width}}  {value}")
    click.echo(f"\n{about}")


def is_only_an_adapter(name, folder):
    """Whether an adapter ships under a name that no backbone, method, task or dataset has."""
    from sordino import registry

    return folder is not None and not any(name in registry.names(kind) for kind in registry.FOLDERS)


def adapter(folder, name):
    """What an adapter is; a warning about its backbone's licence stands among it."""
    from sordino.adapter_file import read_card
    from sordino.model_card import warning

    card = read_card(folder)
    size = sum(path.stat().st_size for path in folder.iterdir() if path.is_file())
    count, backbone = card["parameters"], card["backbone"]
    metrics = {f"{task} {metric}": f"{value:.3f}" for task, row in (card.get("metrics") or {}).items()
               for metric, value in row.items() if value is not None}  # fmt: skip
    told = warning(name, card)
    return {
        "kind": "adapter",
        "folder": str(folder),
        "size": f"{size / 1e6:.2f} MB",
        "backbone": f"{backbone['name']}, weights {backbone['weights_from']}, fingerprint {backbone['fingerprint']}",
        "licence of weights": card.get("licence_of_weights") or "not stated",
        **({"warning": told} if told else {}),
        "methods": ", ".join(spec["name"] for spec in card["methods"]),
        "tasks": ", ".join(spec["name"] for spec in card["tasks"]),
        "segments": f"{card['segment_s']:g} s",
        "parameters": f"{count['method']:,} attached, {count['head']:,} in the head",
        "data": str(card.get("data", "not stated")),
        **({"metrics": metrics} if metrics else {}),
        "about": card.get("origin") or f"Made with sordino {card['sordino']}; more in {folder}/README.md",
    }


def run(folder):
    """How far a run is, or what it found."""
    import json

    from sordino.results import shown_score
    from sordino.study.curves import read_log

    def scores(values):
        return ", ".join(f"{name} {shown_score(value)}" for name, value in values.items())

    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    log = read_log(folder)
    described = {
        "kind": "run",
        "folder": str(folder),
        "data": str(config["data"]),
        "tasks": ", ".join(spec["name"] for spec in config["task"]),
        "methods": ", ".join(spec["name"] for spec in config["method"]),
        "backbone": config["backbone"]["name"],
        "validations": {f"step {row['step']:>6}": scores(row["validation"]) for row in log[-5:] if row["validation"]},
    }
    if (folder / "result.json").is_file():
        result = json.loads((folder / "result.json").read_text(encoding="utf-8"))
        described["test"] = {
            name: f"{row['metric']} {shown_score(row['metrics'][row['metric']])} (95 % "
                  f"{' to '.join(map(shown_score, row['interval']))}, {row['n_tracks']} tracks)"
            for name, row in result["tasks"].items()
        }  # fmt: skip
        about = f"Finished after {result['steps']:,} steps; the best was step {result['best_step']:,}."
    else:
        about = "Not finished: the same `sordino train` command goes on with it."
    return {**described, "about": f"{about} Curves: sordino show {folder} --plot curves.png"}
