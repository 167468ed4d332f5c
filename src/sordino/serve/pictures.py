"""Answers as pictures for a page: key on the circle of fifths, tempo and metre in large figures, tags as bars.

Everything is HTML and SVG as text, styled by `page.css`; whatever is told is escaped.
"""

from __future__ import annotations

import html
import math
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from sordino.contracts import Prediction, Task
from sordino.results import FileAnswer
from sordino.song.card import lines, short
from sordino.tasks.key import on_the_circle

MAJOR = ("C", "G", "D", "A", "E", "B", "F♯", "D♭", "A♭", "E♭", "B♭", "F")
MINOR = ("Am", "Em", "Bm", "F♯m", "C♯m", "G♯m", "E♭m", "B♭m", "Fm", "Cm", "Gm", "Dm")
MOST_BARS = 12
ORDER = ("key", "tempo", "beat", "tagging", "classification", "chord")  # then the rest
TALL, WIDE = ("key", "tagging", "classification"), ("chord",)


def card(answer: FileAnswer, tasks: Mapping[str, Task]) -> str:
    """All answers about a sound, a box for each."""
    order = {kind: number for number, kind in enumerate(ORDER)}
    names = sorted(answer.answers, key=lambda name: order.get(tasks[name].name, len(order)))
    boxes = [_box(name, tasks[name], answer[name]) for name in names]
    return f'<div class="sordino">{"".join(boxes)}</div>'


def compared(answers: Iterable[tuple[str, FileAnswer, Mapping[str, Task]]]) -> str:
    """What two adapters say of one sound: tags side by side where both have tags, else one beside the other."""
    (a, first, tasks_a), (b, second, tasks_b) = answers
    pairs, alone = [], []
    kinds = {tasks_b[name].name: name for name in second.answers}
    for name, prediction in first.answers.items():
        other = kinds.pop(tasks_a[name].name, None)
        if other is None:
            alone.append(_box(name, tasks_a[name], prediction))
            continue
        mine, theirs = prediction.details.get("probabilities"), second[other].details.get("probabilities")
        if mine and theirs:
            legend = f'<span class="a">{escaped(a)}</span> and <span class="b">{escaped(b)}</span>'
            pairs.append(f'<div class="box wide"><h4>{legend}</h4>{_two_bars(mine, theirs)}</div>')
        else:
            told = "the same" if prediction.value == second[other].value else "they differ"
            pairs += [_box(name, tasks_a[name], prediction, told),
                      _box(other, tasks_b[other], second[other], told)]  # fmt: skip
    alone += [_box(name, tasks_b[name], second[name]) for name in kinds.values()]
    return f'<div class="sordino">{"".join([*pairs, *alone])}</div>'


def _shown(task: Task, prediction: Prediction) -> str:
    draw = {
        "key": _key,
        "tempo": _tempo,
        "beat": _beat,
        "chord": _chord,
        "tagging": _tags,
        "classification": _classes,
    }.get(task.name)
    if draw:
        return draw(prediction)
    (told,) = [line.strip().partition(" ")[2] for line in
               lines(FileAnswer("", {"it": prediction}), {"it": task})[1:]]  # fmt: skip
    return f"<div>{escaped(told)}</div>"


def _box(name: str, task: Task, prediction: Prediction, told: str = "") -> str:
    by = prediction.details.get("by")
    notes = [escaped(f"by {by}")] if by else []
    notes += [f"confidence {prediction.confidence:.0%}"] if prediction.confidence is not None else []
    notes += [told] if told else []
    shape = "tall" if task.name in TALL else "wide" if task.name in WIDE else ""
    below = f'<div class="by">{" · ".join(notes)}</div>'
    return f'<div class="box {shape}"><h4>{escaped(name)}</h4>{_shown(task, prediction)}{below}</div>'


def _key(prediction: Prediction) -> str:
    ranked: Mapping[str, float] = prediction.details.get("alternatives") or {prediction.value: 1.0}
    strongest = max([*ranked.values(), 1e-9])
    weight = {on_the_circle(key): max(0.0, value) / strongest for key, value in ranked.items()}
    best, parts = on_the_circle(str(prediction.value)), []
    for minor, names, inner, outer in ((False, MAJOR, 76, 108), (True, MINOR, 42, 76)):
        for step, name in enumerate(names):
            is_best = best == (step, minor)
            shade = 0.9 if is_best else 0.45 * weight.get((step, minor), 0.0)
            kind = f"{'minor' if minor else ''} {'best' if is_best else ''}".strip()
            x, y = _round(step, (inner + outer) / 2)
            parts.append(f'<path d="{_wedge(step, inner, outer)}" fill-opacity="{shade:.2f}"/>'
                         f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}">{name}</text>')  # fmt: skip
    second = [key for key in ranked if key != prediction.value][:1]
    told = f'<div class="by middle">or {escaped(second[0])}</div>' if second else ""
    svg = f'<svg viewBox="-110 -110 220 220" role="img" aria-label="circle of fifths">{"".join(parts)}</svg>'
    return f'{svg}<div class="key middle">{escaped(prediction.value)}</div>{told}'


def _round(step: float, radius: float) -> tuple[float, float]:
    angle = 2 * math.pi * step / 12
    return radius * math.sin(angle), -radius * math.cos(angle)


def _wedge(step: int, inner: float, outer: float) -> str:
    corners = [
        _round(step + side, radius) for side, radius in ((-0.5, outer), (0.5, outer), (0.5, inner), (-0.5, inner))
    ]
    a, b, c, d = (f"{x:.2f} {y:.2f}" for x, y in corners)
    return f"M{a} A{outer} {outer} 0 0 1 {b} L{c} A{inner} {inner} 0 0 0 {d} Z"


def _tempo(prediction: Prediction) -> str:
    value = prediction.value["bpm"] if isinstance(prediction.value, Mapping) else prediction.value
    others = [bpm for bpm in prediction.details.get("tempi", ()) if abs(bpm - value) > 1e-6]
    told = f'<div class="by">or {others[0]:.1f}</div>' if others else ""
    return f'<div class="large">{value:.1f} <small>BPM</small></div>{told}' if value else "none"


def _beat(prediction: Prediction) -> str:
    metre, beats = prediction.details.get("beats_per_bar"), prediction.value["beats"]
    bars = prediction.value["downbeats"] or []
    head = f"{metre} <small>beats in a bar</small>" if metre else "<small>metre not known</small>"
    return f'<div class="large">{head}</div><div class="by">{len(beats)} beats, {len(bars)} downbeats</div>'


def _chord(prediction: Prediction) -> str:
    """Each chord's share of the time in which there is one."""
    times: Counter[str] = Counter()
    for start_s, end_s, chord in prediction.value:
        if chord != "N":
            times[short(chord)] += end_s - start_s
    whole = max(sum(times.values()), 1e-9)
    chips = [f'<span class="chip">{escaped(name)} <small>{time_s / whole:.0%}</small></span>'
             for name, time_s in times.most_common(MOST_BARS)]  # fmt: skip
    return "".join(chips) + f'<div class="by">{len(prediction.value)} changes</div>' if chips else "none"


def _tags(prediction: Prediction) -> str:
    known = prediction.details.get("probabilities") or dict.fromkeys(prediction.value, 1.0)
    return _bars(known, set(prediction.value))


def _classes(prediction: Prediction) -> str:
    return _bars(prediction.details.get("alternatives") or {prediction.value: 1.0}, {prediction.value})


def _bars(values: Mapping[str, float], given: set[str]) -> str:
    ranked = sorted(values, key=lambda name: -values[name])[:MOST_BARS]
    return "".join(
        f'<div class="bar{"" if name in given else " no"}"><b>{escaped(name)}</b>'
        f'<div class="track"><i style="width:{_percent(values[name])}%"></i></div>'
        f"<span>{_percent(values[name])}%</span></div>"
        for name in ranked
    )


def _two_bars(first: Mapping[str, float], second: Mapping[str, float]) -> str:
    names = sorted({*first, *second}, key=lambda name: (-max(first.get(name, 0), second.get(name, 0)), name))
    rows = []
    for name in names[: 2 * MOST_BARS]:
        told = [values.get(name) for values in (first, second)]
        tracks = "".join(f'<div class="track {kind}"><i style="width:{_percent(value or 0)}%"></i></div>'
                         for kind, value in zip("ab", told, strict=True))  # fmt: skip
        figures = "<br>".join("" if value is None else f"{_percent(value)}%" for value in told)
        rows.append(f'<div class="bar"><b>{escaped(name)}</b><div>{tracks}</div><span>{figures}</span></div>')
    return "".join(rows)


def _percent(value: float) -> int:
    return round(100 * min(1.0, max(0.0, value)))


def escaped(value: Any) -> str:
    """As text that stands in a page and is no part of it."""
    return html.escape(str(value))
