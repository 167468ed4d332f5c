"""The song card: key, tempo, metre, beats, chords, instruments and tags of a recording, from what ships with sordino.

Each part is answered by the adapter of its name, or by the task's plain estimator where that scores better on real
music, as `adapters/choices.json` says with the scores. Tags come from musicnn's own output layer, where
`sordino fetch musicnn` has left it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from sordino.adapters import choices, shipped
from sordino.backbones._published import cache_folder
from sordino.contracts import Task
from sordino.inference import Predictor, Sound
from sordino.results import FileAnswer
from sordino.tasks import make_task

PARTS: dict[str, dict[str, Any]] = {
    "key": {"name": "key"},
    "tempo": {"name": "tempo"},
    "beat": {"name": "beat"},
    "chord": {"name": "chord"},
    "instruments": {"name": "tagging", "label": "instruments"},
}
TAGS = "musicnn-*.adapter"


class SongCard:
    """Answers recordings with everything that ships with sordino; has `files` and `tasks` as a `Predictor` has.

    Args:
        **options: see `Predictor`.
    """

    def __init__(self, **options: Any):
        adapters, plain = sources()
        self._names = {f"{name}/{PARTS[name]['name'] if name in PARTS else 'tagging'}": name for name in adapters}
        self._predictor = Predictor(list(adapters.values()), list(adapters), plain=plain, **options)
        known = {self._names.get(name, name): task for name, task in self._predictor.tasks.items()}
        self.tasks: dict[str, Task] = {name: known[name] for name in (*PARTS, "tags") if name in known}

    def files(self, sounds: Iterable[Sound]) -> Iterator[FileAnswer]:
        """Answer recordings, in their order; see `Predictor.files`."""
        for answer in self._predictor.files(sounds):
            found = {self._names.get(name, name): value for name, value in answer.answers.items()}
            answer.answers = {name: found[name] for name in self.tasks} if found else {}
            yield answer


def sources() -> tuple[dict[str, Path], dict[str, Task]]:
    """The parts of the card that adapters answer, each with its folder, and those that plain estimators answer."""
    chosen = choices()
    adapters, plain = {}, {}
    for name, spec in PARTS.items():
        folder, task = shipped(name), make_task(**spec)
        if folder is not None and chosen.get(name, {}).get("use") != "plain":
            adapters[name] = folder
        elif task.plain_baseline is not None:
            plain[name] = task
    tags = sorted((cache_folder() / "adapters").glob(TAGS))
    return adapters | ({"tags": tags[0]} if tags else {}), plain


def lines(answer: FileAnswer, tasks: dict[str, Task]) -> list[str]:
    """An answer as text: a line for the file, and one for each part."""
    minutes, seconds = divmod(round(answer.duration_s), 60)
    told = {}
    for name, prediction in answer.answers.items():
        told |= _TOLD.get(tasks[name].name, _plainly)(name, prediction)
    by = {name: p.details["by"] for name, p in answer.answers.items() if "by" in p.details}
    width = max(map(len, told), default=0)
    rows = [f"  {name:<{width}}  {text}{f'  ({by[name]})' if name in by else ''}" for name, text in told.items()]
    return [f"{answer.path}  {minutes}:{seconds:02}", *rows]


def _key(name, prediction) -> dict[str, str]:
    others = [key for key in prediction.details.get("alternatives", {}) if key != prediction.value]
    return {name: " or ".join([str(prediction.value), *others[:1]])}


def _tempo(name, prediction) -> dict[str, str]:
    others = [bpm for bpm in prediction.details.get("tempi", ()) if abs(bpm - prediction.value) > 1e-6]
    told = " or ".join(f"{bpm:.1f}" for bpm in [prediction.value, *others[:1]])
    return {name: f"{told} BPM" if prediction.value else "none"}


def _beat(name, prediction) -> dict[str, str]:
    beats, downbeats = prediction.value["beats"], prediction.value["downbeats"] or []
    metre = prediction.details.get("beats_per_bar")
    told = f"{len(beats)}" + (f", the first at {beats[0]:.2f} s" if beats else "")
    bars = f"; {len(downbeats)} downbeats, the first at {downbeats[0]:.2f} s" if downbeats else "; bars not known"
    return {"metre": f"{metre} beats in a bar" if metre else "not known", name: told + (bars if beats else "")}


def _chord(name, prediction) -> dict[str, str]:
    named = [short(chord) for _, _, chord in prediction.value]
    more = f" ... {len(named)} in all" if len(named) > 8 else ""
    return {name: " ".join(named[:8]) + more if named else "none"}


def _tags(name, prediction) -> dict[str, str]:
    known = prediction.details.get("probabilities", {})
    ordered = sorted(prediction.value, key=lambda tag: -known.get(tag, 0.0))
    return {name: ", ".join(f"{tag} {known[tag]:.2f}" if tag in known else tag for tag in ordered) or "none"}


def _plainly(name, prediction) -> dict[str, str]:
    return {name: str(prediction.value)}


_TOLD = {"key": _key, "tempo": _tempo, "beat": _beat, "chord": _chord, "tagging": _tags}


def short(chord: str) -> str:
    """A chord as a lead sheet has it: `Am` for `A:min`."""
    root, _, quality = chord.partition(":")
    return root + {"maj": "", "min": "m", "min7": "m7"}.get(quality, quality)
