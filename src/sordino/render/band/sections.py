"""Sections: who is silent where. Songs begin with less, break off, and come back."""

from __future__ import annotations

from dataclasses import dataclass

# Kind of section to (weight, who is silent).
_KINDS = {
    "full": (5.0, ()),
    "verse": (2.0, ("riff", "pad")),
    "instrumental": (1.5, ("lead",)),
    "without chords": (0.7, ("chords", "pad")),
    "intro": (0.8, ("drums", "lead")),
    "without bass": (0.5, ("bass",)),
    "break": (0.7, ("drums", "bass")),
    "drums and bass": (0.6, ("chords", "pad", "lead")),
    "drums": (0.35, ("bass", "chords", "pad", "lead", "riff")),
    "stripped": (0.5, ("drums", "bass", "pad", "riff")),
}
ONE_SECTION = 0.55
"""How likely nothing changes within a clip."""


@dataclass(frozen=True)
class Section:
    """Bars from `first` to before `last`, and the roles that are silent in them."""

    first: int
    last: int
    silent: tuple[str, ...]

    def silences(self, role):
        """Tell whether a role is silent."""
        return role in self.silent


def draw_sections(n_bars: int, change_s: tuple[float, float], bar_s: float, rng) -> tuple[Section, ...]:
    """Return one section, or two that meet at a bar line; drums are silent, or almost alone, in one of two only.

    Args:
        n_bars: how long the music is.
        change_s: from when until when a change would be heard.
        bar_s: length of a bar.
        rng: a numpy generator.
    """
    names = list(_KINDS)
    weights = [_KINDS[name][0] for name in names]
    first, second = (_KINDS[names[i]][1] for i in rng.choice(len(names), 2, p=[w / sum(weights) for w in weights]))
    middle = round(rng.uniform(*change_s) / bar_s)
    if not 1 <= middle < n_bars or change_s[0] > change_s[1] or rng.random() < ONE_SECTION:
        return (Section(0, n_bars, () if "drums" in first or len(first) > 3 else first),)
    if ("drums" in first and "drums" in second) or (len(first) > 3 and len(second) > 3):
        second = ()
    return Section(0, middle, first), Section(middle, n_bars, second)


def sounding(notes, role, sections, bar_q):
    """Return the notes (or hits) of a role that begin where it is not silent.

    Args:
        notes: tuples that begin with their onset in quarter notes, or hits.
        role: of the player.
        sections: in order.
        bar_q: length of a bar.
    """
    silent = [(s.first * bar_q, s.last * bar_q) for s in sections if s.silences(role)]
    return [note for note in notes if not any(low - 1e-6 <= note[0] < high - 1e-6 for low, high in silent)]
