"""The model card of an adapter, README.md of its folder: what the Hugging Face Hub reads of it, and what people do.

Conventions: the licence is that of the backbone's weights, which binds whoever uses the adapter. Where it forbids
commercial use, the card says so.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

ON_THE_HUB = re.compile(r"([\w.-]+/[\w.-]+)@[0-9a-f]{8}")
KNOWN_LICENCES = ("apache-2.0", "cc-by-4.0", "cc-by-nc-4.0", "cc-by-nc-sa-4.0", "cc-by-sa-4.0", "isc", "mit")


def forbids_commercial_use(licence: str | None) -> bool:
    """Whether a licence has the letters NC, or says non-commercial."""
    return bool(re.search(r"\bNC\b|non-?commercial", licence or "", re.IGNORECASE))


def warning(name: str, card: Mapping[str, Any]) -> str | None:
    """One line for whoever is about to use an adapter whose backbone must not be used commercially; else None."""
    licence = card.get("licence_of_weights")
    if not forbids_commercial_use(licence):
        return None
    return f"{name}: the weights of {card['backbone']['name']} are {licence}, which forbids commercial use"


def base_model(card: Mapping[str, Any]) -> str | None:
    """The backbone's repository on the Hub, where it came from there."""
    found = ON_THE_HUB.search(card["backbone"].get("weights_from") or "")
    return found and found[1]


def model_card(name: str, card: Mapping[str, Any]) -> str:
    """The card of an adapter.

    Args:
        name: its folder's.
        card: the contents of `adapter.json`.
    """
    backbone, count = card["backbone"], card["parameters"]
    lines = [
        *_front(name, card),
        f"# {name}",
        "",
        f"An adapter for **{backbone['name']}** made with sordino {card['sordino']}.",
        "",
        f"- task: {', '.join(task['name'] for task in card['tasks'])}",
        f"- method: {' + '.join(method['name'] for method in card['methods'])}",
        f"- backbone weights: {backbone['weights_from']}, fingerprint `{backbone['fingerprint']}`",
        f"- licence of the backbone's weights: {card['licence_of_weights'] or 'not stated'}",
        f"- trained parameters: {count['method']:,} attached ({count['share']:.3%} of the backbone),"
        f" {count['head']:,} in the head",
        *(
            f"- not part of sordino: {one['kind']} {one['name']}, from `{one.get('package', one['from'])}`"
            for one in card.get("outside", ())
        ),
        "",
        "```",
        f"sordino predict song.mp3 --adapter {name}",
        "```",
    ]
    if told := warning("Note", card):
        lines += ["", told + "."]
    metrics = card.get("metrics") or {}
    if metrics:
        lines += ["", f"Test of {card.get('data', 'its data')}:", ""]
        lines += [f"- {task} {metric}: {value:.3f}" for task, row in metrics.items() for metric, value in row.items()]
    lines += _scores(card.get("scores") or {})
    lines += [f"\n{card[entry]}" for entry in ("origin", "notice") if entry in card]
    return "\n".join(lines) + "\n"


def _scores(scores: Mapping[str, Any]) -> list[str]:
    """A table of what was tested beside the plain estimator, by data."""
    if not scores:
        return []
    rows = [f"| {data} | {row['n_tracks']} | {_told(row['adapter'])} | {_told(row['plain'])} |"
            for data, row in scores["data"].items()]  # fmt: skip
    head = [f"| {scores['metric']} on | tracks | adapter | {scores['plain']} |", "|---|---:|---|---|"]
    return ["", "Beside the plain estimator, with 95 % intervals:", "", *head, *rows]


def _told(score: Mapping[str, Any] | None) -> str:
    return "" if score is None else f"{score['score']:.3f} ({score['interval'][0]:.3f} to {score['interval'][1]:.3f})"


def _front(name: str, card: Mapping[str, Any]) -> Iterator[str]:
    """What the Hub reads, in YAML (of which JSON is a part)."""
    licence = (card["licence_of_weights"] or "").lower()
    base = base_model(card)
    methods, tasks = (sorted({spec["name"] for spec in card[kind]}) for kind in ("methods", "tasks"))
    metrics = card.get("metrics") or {}
    yield "---"
    yield "library_name: sordino"
    yield f"license: {licence if licence in KNOWN_LICENCES else 'other'}"
    yield from [f"base_model: {base}"] if base else []
    yield "tags: " + json.dumps(["music", *tasks, *methods, *([f"base_model:adapter:{base}"] if base else [])])
    if card.get("data"):
        yield "datasets: " + json.dumps([str(card["data"])])
    if metrics:
        yield "metrics: " + json.dumps(sorted({metric for row in metrics.values() for metric in row}))
        results = [
            {"task": {"type": "audio-classification", "name": task},
             "dataset": {"type": str(card.get("data")), "name": str(card.get("data"))},
             "metrics": [{"type": metric, "value": round(value, 6)} for metric, value in row.items() if value == value]}
            for task, row in metrics.items()
        ]  # fmt: skip
        yield "model-index: " + json.dumps([{"name": name, "results": results}])
    yield "---"
