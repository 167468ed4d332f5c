"""`sordino runs`: what was trained, side by side."""

from __future__ import annotations

import click


@click.command()
@click.argument("folder", default="runs", type=click.Path(file_okay=False))
@click.option("--task", "-t", help="Only this task.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object for each line.")
def command(folder, task, as_json):
    """List the finished runs below FOLDER, the best of each task first: score, interval, cost, data.

    Example: sordino runs runs --task key
    """
    import json

    from sordino.training.plan import results_below

    rows = [row for path in results_below(folder) for row in rows_of(path)]
    rows = [row for row in rows if task in (None, row["task"])]
    if not rows:
        raise ValueError(f"{folder}: no finished run{f' of task {task}' if task else ''} (no result.json)")
    rows.sort(key=lambda row: (row["task"], -(row["score"] if row["score"] is not None else float("-inf"))))
    if as_json:
        click.echo("\n".join(json.dumps(row, ensure_ascii=False) for row in rows))
        return
    for row in rows:
        low, high = (value if value is not None else float("nan") for value in row["interval"])
        score = float("nan") if row["score"] is None else row["score"]
        told = (
            f"{row['task']:<12} {score:.3f} ({low:.3f} to {high:.3f}, n {row['n_tracks']}) {row['metric']:<15}",
            f"{row['method']:<12} {row['backbone']:<10} {row['seconds']:>8.0f} s {row['data']}  {row['run']}",
        )
        click.echo(" ".join(told))


def rows_of(path):
    """A line for each task of a run; none where the file is no run's."""
    import json

    try:
        result = json.loads(path.read_text(encoding="utf-8"))
        config = result["config"]
        about = {"method": "+".join(spec["name"] for spec in config["method"]), "backbone": config["backbone"]["name"],
                 "seed": config["seed"], "data": config["data"], "seconds": result.get("seconds") or 0.0,
                 "run": str(path.parent)}  # fmt: skip
        return [
            {"task": name, "metric": row["metric"], "score": row["metrics"][row["metric"]], "interval": row["interval"],
             "n_tracks": row["n_tracks"], **about}
            for name, row in result["tasks"].items()
        ]  # fmt: skip
    except (ValueError, KeyError, TypeError):
        return []
