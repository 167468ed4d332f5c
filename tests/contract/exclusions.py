"""Which methods have no place on which backbones, and why; every other pair must work. Which pairs are tried when."""

import itertools

import pytest

from sordino import registry

CONVOLUTIONAL = {"beat_tcn", "key_cnn", "musicnn", "short_cnn", "tempo_cnn"}
BESIDE = "it runs beside attention and feed-forwards, and a convolutional network has none"
NO_PLACE = {  # the reason, by method; these backbones have none of its roles
    "prefix": "prefixes are keys and values, and a convolutional network has no attention",
    "conformer_adapter": BESIDE,
    "soft_moa": BESIDE,
    "ia3": "it scales keys, values and feed-forwards, and a convolutional network has none",
}
# Options that name roles of transformers, so that they are tried on those alone.
NAMES_OTHER_ROLES = {
    ("adapter", "roles"): "after.ffn is named",
    ("lora", "r"): "attn.q is named in the table of ranks",
    ("peft", "config"): "attn.q and ffn.out are named",
}


def reason(method_name, options, backbone_name):
    """Why this pair is left out, or None."""
    if backbone_name not in CONVOLUTIONAL:
        return None
    named = [NAMES_OTHER_ROLES[key] for option in options if (key := (method_name, option)) in NAMES_OTHER_ROLES]
    return NO_PLACE.get(method_name) or (named[0] if named else None)


STAND_INS = ("mini", "musicnn")  # attention with convolutions, convolutions alone: every method is tried on these,
EVERYWHERE = ("adapter", "finetune", "lora", "prefix", "prompt")  # these on every backbone,


def pairs(cases):
    """Methods with options, each with every backbone, as parameters of a test.

    Beside the pairs above, each method takes its turn with one more backbone; what remains is `slow`.
    """
    others = itertools.cycle(name for name in registry.names("backbone") if name not in STAND_INS)
    found = []
    for name, options in cases:
        turn = next(others)
        for backbone in registry.names("backbone"):
            usual = backbone in (*STAND_INS, turn) or (name in EVERYWHERE and not options)
            label = "-".join([name, *options, backbone])
            found.append(pytest.param(name, options, backbone, id=label, marks=[] if usual else pytest.mark.slow))
    return found
