"""Patches of our own synthesisers, by palette and engine. The two palettes have no patch in common.

Each patch names its engine's function in `engines` and the numbers it takes; see there for what they mean.
"""

from __future__ import annotations


def _named(palette, engine, *settings):
    return {f"{palette} {engine} {number}": setting for number, setting in enumerate(settings, 1)}


def _sub(wave, voices, detune_cents, dark, bright, decay_s, attack_s=0.004, sustain=0.7, release_s=0.08, **more):
    return {"engine": "subtractive", "wave": wave, "voices": voices, "detune_cents": detune_cents, "dark": dark,
            "bright": bright, "decay_s": decay_s, "attack_s": attack_s, "sustain": sustain, "release_s": release_s,
                **more}  # fmt: skip


def _fm(ratio, index, decay_s, attack_s=0.002, sustain=0.0, release_s=0.12, index_decay_s=0.3, second=0.0):
    return {"engine": "fm", "ratio": ratio, "index": index, "decay_s": decay_s, "attack_s": attack_s,
            "sustain": sustain, "release_s": release_s, "index_decay_s": index_decay_s, "second": second}  # fmt: skip


def _string(decay_s, brightness, pick, stiffness=0.0, noise=0.0, courses=1, release_s=0.06):
    return {"engine": "string", "decay_s": decay_s, "brightness": brightness, "pick": pick, "stiffness": stiffness,
            "noise": noise, "courses": courses, "release_s": release_s}  # fmt: skip


def _organ(drawbars, tremolo_hz, click):
    return {"engine": "organ", "drawbars": drawbars, "tremolo_hz": tremolo_hz, "click": click}


def _singer(size, vowels, vibrato_cents, vibrato_hz, glide_s, breath, voices=1):
    return {"engine": "voice", "size": size, "vowels": vowels, "vibrato_cents": vibrato_cents, "vibrato_hz": vibrato_hz,
            "glide_s": glide_s, "breath": breath, "voices": voices}  # fmt: skip


_SETTINGS = {
    "train": {
        "saw lead": (_sub("saw", 1, 0, 6, 24, 0.4), _sub("saw", 3, 14, 5, 18, 0.8), _sub("saw", 5, 22, 8, 30, 0.5,
                glide_s=0.03)),
        "square lead": (_sub("square", 1, 0, 7, 20, 0.5), _sub("pulse", 2, 9, 6, 25, 0.3), _sub("square", 2, 7, 3, 10,
                1.0, glide_s=0.05)),
        "poly": (_sub("saw", 3, 12, 3, 16, 0.5, sustain=0.5), _sub("square", 2, 8, 4, 14, 0.8), _sub("saw", 7, 30, 8,
                26, 1.0, sustain=0.8)),
        "pad": (_sub("saw", 4, 16, 2, 8, 2.5, attack_s=0.4, sustain=0.9, release_s=0.6), _sub("pulse", 3, 12, 2, 6,
                2.0, attack_s=0.25, sustain=0.9, release_s=0.5),
                _fm(1.0, 1.2, 3.0, attack_s=0.3, sustain=0.8, release_s=0.7, index_decay_s=2.0)),
        "synth pluck": (_sub("saw", 2, 8, 2, 20, 0.15, sustain=0.1), _sub("square", 1, 0, 1, 16, 0.2, sustain=0.0)),
        "fm pluck": (_fm(2.0, 3.0, 0.5, index_decay_s=0.12), _fm(3.0, 2.2, 0.35, index_decay_s=0.1)),
        "synth brass": (_sub("saw", 3, 10, 2, 18, 0.6, attack_s=0.03, sustain=0.7),),
        "string machine": (_sub("saw", 4, 15, 4, 9, 2.0, attack_s=0.12, sustain=0.95, release_s=0.3),),
        "analog bass": (_sub("saw", 1, 0, 2, 14, 0.18, sustain=0.5), _sub("square", 2, 6, 2, 9, 0.3), _sub("saw", 2,
                10, 1, 20, 0.12, sustain=0.4)),
        "fm bass": (_fm(1.0, 2.5, 0.8, sustain=0.4, index_decay_s=0.15), _fm(0.5, 2.0, 0.7, sustain=0.5)),
        "sub bass": (_sub("sine", 1, 0, 1, 1, 1.5, sustain=0.8, release_s=0.1, drive=1.5), _sub("sine", 1, 0, 1, 1,
                0.9, sustain=0.3, release_s=0.2, drive=3.0, drop=0.6)),
        "fm piano": (_fm(14.0, 0.7, 1.4, index_decay_s=0.25, second=0.4), _fm(1.0, 1.3, 1.6, index_decay_s=0.6)),
        "fm bell": (_fm(3.5, 1.6, 1.2, index_decay_s=0.7), _fm(4.0, 1.0, 0.6)),
        "clav": (_string(0.6, 0.75, 0.08, noise=0.1),),
        "drawbar": (_organ((8, 8, 8, 0, 0, 0, 0, 0, 0), 6.1, 0.3), _organ((8, 6, 8, 8, 0, 4, 0, 0, 6), 6.8, 0.2)),
        "nylon pluck": (_string(1.6, 0.35, 0.28), _string(1.2, 0.28, 0.35)),
        "steel pluck": (_string(2.2, 0.62, 0.14, noise=0.05), _string(1.6, 0.7, 0.1, noise=0.08)),
        "twelve pluck": (_string(2.2, 0.6, 0.15, noise=0.06, courses=2),),
        "muted pluck": (_string(0.9, 0.25, 0.3), _string(1.3, 0.3, 0.2)),
        "electric pluck": (_string(2.6, 0.5, 0.2), _string(2.0, 0.62, 0.1), _string(3.0, 0.45, 0.3)),
        "bass pluck": (_string(1.8, 0.3, 0.25), _string(1.4, 0.45, 0.12)),
        "upright pluck": (_string(0.9, 0.2, 0.3, noise=0.1),),
        "choir": (_singer(1.0, "ao", 12, 5.0, 0.05, 0.05, voices=3), _singer(1.12, "oue", 9, 5.4, 0.04, 0.08,
                voices=4)),
        "singer": (_singer(1.0, "aoe", 22, 5.3, 0.07, 0.06), _singer(1.18, "aei", 28, 5.9, 0.05, 0.08), _singer(0.92,
                "oau", 16, 4.9, 0.09, 0.04), _singer(1.1, "ou", 30, 5.6, 0.06, 0.12, voices=2)),
    },
    "test": {
        "saw lead": (_sub("saw", 2, 18, 10, 28, 0.25, glide_s=0.02), _sub("saw", 4, 9, 4, 13, 1.2)),
        "square lead": (_sub("triangle", 1, 0, 9, 22, 0.6), _sub("thin", 2, 12, 5, 18, 0.4)),
        "poly": (_sub("thin", 3, 16, 5, 22, 0.35, sustain=0.4), _sub("saw", 6, 18, 5, 12, 1.4, sustain=0.9)),
        "pad": (_sub("thin", 4, 20, 3, 9, 3.0, attack_s=0.6, sustain=0.9, release_s=0.8), _fm(2.0, 0.8, 3.0,
                attack_s=0.5, sustain=0.9, release_s=0.8, index_decay_s=3.0)),
        "synth pluck": (_sub("thin", 1, 0, 2, 24, 0.1, sustain=0.05), _sub("triangle", 2, 10, 3, 15, 0.25,
                sustain=0.1)),
        "fm pluck": (_fm(5.0, 1.8, 0.4, index_decay_s=0.08),),
        "synth brass": (_sub("thin", 4, 14, 3, 20, 0.4, attack_s=0.05, sustain=0.8),),
        "string machine": (_sub("thin", 5, 18, 3, 11, 2.0, attack_s=0.2, sustain=0.95, release_s=0.4),),
        "analog bass": (_sub("thin", 1, 0, 3, 18, 0.15, sustain=0.6), _sub("triangle", 2, 5, 4, 10, 0.4)),
        "fm bass": (_fm(2.0, 1.7, 0.6, sustain=0.5, index_decay_s=0.2),),
        "sub bass": (_sub("triangle", 1, 0, 2, 3, 1.2, sustain=0.7, release_s=0.15, drive=2.0),),
        "fm piano": (_fm(7.0, 0.9, 1.2, index_decay_s=0.4, second=0.3),),
        "fm bell": (_fm(2.76, 1.9, 1.0, index_decay_s=0.5),),
        "clav": (_string(0.45, 0.6, 0.05, noise=0.15),),
        "drawbar": (_organ((6, 0, 8, 6, 4, 0, 0, 0, 0), 5.4, 0.1), _organ((8, 0, 8, 0, 8, 0, 4, 0, 2), 7.2, 0.4)),
        "nylon pluck": (_string(1.9, 0.42, 0.22, noise=0.03),),
        "steel pluck": (_string(1.8, 0.55, 0.18, stiffness=0.0002, noise=0.1),),
        "twelve pluck": (_string(1.7, 0.68, 0.12, stiffness=0.0001, courses=2),),
        "muted pluck": (_string(1.1, 0.35, 0.4, noise=0.04),),
        "electric pluck": (_string(2.3, 0.57, 0.15, stiffness=0.0001), _string(3.4, 0.4, 0.25)),
        "bass pluck": (_string(2.2, 0.38, 0.18, stiffness=0.0001),),
        "upright pluck": (_string(1.2, 0.26, 0.22, noise=0.15),),
        "choir": (_singer(1.06, "aue", 14, 4.7, 0.06, 0.1, voices=4),),
        "singer": (_singer(1.06, "eao", 24, 5.0, 0.08, 0.09), _singer(0.88, "auo", 18, 5.6, 0.05, 0.05), _singer(1.24,
                "iea", 26, 6.2, 0.06, 0.1)),
    },
}  # fmt: skip

PATCHES = {
    palette: {engine: tuple(_named(palette, engine, *settings)) for engine, settings in engines.items()}
    for palette, engines in _SETTINGS.items()
}
"""Palette to engine to the names of its patches."""

SETTINGS = {
    name: setting
    for palette, engines in _SETTINGS.items()
    for engine, settings in engines.items()
    for name, setting in _named(palette, engine, *settings).items()
}
"""Name of a patch to what its engine takes."""
