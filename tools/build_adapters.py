"""Train the adapters that ship with the package, score them on rendered and on real music, and choose what the song
card uses.

    python tools/build_adapters.py                       # every study of experiments/ready
    python tools/build_adapters.py experiments/ready/key.toml

Each study is one part of the song card, named as its file. The run that is best on the validation tracks is the
adapter. It is scored on the test tracks of the study's data and of `demo`, and on every corpus of REAL that is on this
machine; the plain estimator of the task on the same tracks. The card uses what scores better on real music, all corpora
together, weighted by their tracks (on rendered music, where no real one is here).
"""

import json
from pathlib import Path

import click

from sordino import adapters
from sordino.adapter_file import load_adapter, read_card, save_adapter
from sordino.cli._progress import bars
from sordino.config import specs
from sordino.datasets import load_dataset
from sordino.files import write_json
from sordino.study.grid import read_study
from sordino.study.plain import plain_baseline
from sordino.study.side_by_side import run_all, usual_jobs
from sordino.training.adapter_scores import evaluate_adapter
from sordino.training.splits import make_tasks

ROOT = Path(__file__).resolve().parent.parent
STUDIES = ROOT / "experiments" / "ready"
REAL = {
    "key": ("gtzan_key:mini", "giantsteps_key"),
    "tempo": ("gtzan_rhythm:mini", "giantsteps_tempo", "ballroom"),
    "beat": ("gtzan_rhythm:mini", "ballroom", "hainsworth"),
    "chord": ("guitarset", "beatles"),
    "instruments": (),
}
UNHEARD = "demo"  # its test sounds are heard nowhere else


def build(study, out, real, advance):
    """Train one part.

    Args:
        study: its file.
        out: where run folders lie.
        real: names of corpora to score on.
        advance: progress.

    Returns:
        Its row of `choices.json`. The adapter is written to `adapters.FOLDER`.
    """
    configs = read_study(study)
    runs = run_all(configs, out, advance, usual_jobs(configs))
    best = max(runs, key=lambda run: run.result["best_validation"])
    (scored,) = best.result["tasks"].values()
    config = best.result["config"]
    scores = {"metric": scored["metric"], "plain": "plain estimator", "data": {}}
    rendered = dict.fromkeys([config["test"] or config["data"], UNHEARD])
    for data, split in [*((name, "test") for name in rendered), *((name, "all") for name in real)]:
        dataset = load_dataset(data)
        if split == "all" and not dataset.available():
            continue
        (task,) = make_tasks(specs(config["task"], "task"), load_dataset(config["data"]).tracks())
        (learned,) = evaluate_adapter(best.adapter, data, split=split, advance=advance).values()
        plain = plain_baseline(task, dataset, split)
        if plain:
            scores["plain"] = task.plain_baseline.title
        scores["data"][str(data)] = {"real": split == "all", "n_tracks": learned["n_tracks"],
                                     "adapter": told(learned, scores["metric"]),
                                     "plain": plain and told(plain, scores["metric"])}  # fmt: skip
    use, why = chosen(scores)
    collect(best.adapter, study, scores)
    return {"use": use, "why": why, **scores}


def told(scored, metric):
    """A score with its interval, rounded."""
    return {"score": round(scored["metrics"][metric], 4), "interval": [round(v, 4) for v in scored["interval"]]}


def chosen(scores):
    """Which answers, and why in a few words."""
    real = {data: row for data, row in scores["data"].items() if row["real"]} or scores["data"]
    rows = [row for row in real.values() if row["plain"]]
    if not rows:
        return "adapter", "there is no plain estimator"
    n = sum(row["n_tracks"] for row in rows)
    learned, plain = (sum(row[who]["score"] * row["n_tracks"] for row in rows) / n for who in ("adapter", "plain"))
    kind = "real" if any(row["real"] for row in rows) else "rendered"
    said = f"{scores['metric']} on {kind} music ({' and '.join(real)})"
    why = f"{said}: adapter {learned:.3f}, {scores['plain']} {plain:.3f}"
    return ("plain" if plain > learned else "adapter"), why


def collect(adapter, study, scores):
    """Put a run's adapter into the package, its card with all scores, and nothing in it that tells of this machine."""
    card = read_card(adapter)
    spec = {k: v for k, v in card["backbone"].items() if k not in ("fingerprint", "weights_from")}
    model = load_adapter(adapter)
    about = {"metrics": card["metrics"], "data": card["data"], "scores": scores,
             "config": {key: value for key, value in card["config"].items() if key != "root"},
             "origin": f"Made by `tools/build_adapters.py` from `experiments/ready/{Path(study).name}`."}  # fmt: skip
    place = adapters.FOLDER / f"{Path(study).stem}{adapters.SUFFIX}"
    save_adapter(model, place, spec, card["backbone"]["fingerprint"], card["segment_s"], about)


@click.command()
@click.argument("studies", nargs=-1, type=click.Path(exists=True, dir_okay=False))
@click.option("--out", default="runs/ready", show_default=True, type=click.Path(), help="Where run folders lie.")
def main(studies, out):
    """Train STUDIES (by default all of experiments/ready), collect their adapters, and note what the card uses."""
    rows = adapters.choices()
    for study in studies or sorted(map(str, STUDIES.glob("*.toml"))):
        with bars() as advance:
            rows[Path(study).stem] = build(study, out, REAL.get(Path(study).stem, ()), advance)
        write_json(adapters.FOLDER / "choices.json", dict(sorted(rows.items())))
        click.echo(f"{Path(study).stem}: {json.dumps(rows[Path(study).stem]['why'])}")


if __name__ == "__main__":
    main()
