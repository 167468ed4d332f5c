"""NSynth: 305,979 notes of 4 s from 1006 instruments, with family, source, pitch and qualities.

Paper: Engel et al., Neural Audio Synthesis of Musical Notes with WaveNet Autoencoders, 2017
https://magenta.tensorflow.org/datasets/nsynth
Conventions: `nsynth-train`, `nsynth-valid`, `nsynth-test` are the split, 289,205, 12,678 and 4096 notes; each holds
`examples.json` and `audio`. Labels: `instrument` the family, eleven of them (`synth_lead` in train only), `source`,
`pitch` the MIDI number, `tags` the qualities, of which a note may have none. The instruments of train are in no other
part; validation and test share theirs, so a group is an instrument within test or outside of it.
"""

from __future__ import annotations

import json
from pathlib import Path

from sordino.contracts import Archive, Track
from sordino.datasets._corpus import Corpus, write_text, write_tone
from sordino.datasets._splits import ALIASES

PARTS = ("train", "valid", "test")
PUBLISHED = "http://download.magenta.tensorflow.org/datasets/nsynth"


class NSynth(Corpus):
    """Notes."""

    name = "nsynth"
    title = "NSynth"
    labels = ("instrument", "pitch", "source", "tags")
    licence = "CC-BY-4.0"
    citation = "J. Engel et al.: Neural audio synthesis of musical notes with WaveNet autoencoders. ICML 2017"
    url = "https://magenta.tensorflow.org/datasets/nsynth"
    size = (305_979, 340.0)
    splits = "official: 289,205 train, 12,678 validation, 4096 test; no instrument of train in another part"
    places = {"audio": tuple(f"nsynth-{part}/.." for part in PARTS), "examples": ("nsynth-*/examples.json",)}
    get = "nsynth-train, -valid and -test (.jsonwav.tar.gz) are on Magenta's page; a part may be left out."
    archives = tuple(Archive(f"{PUBLISHED}/nsynth-{part}.jsonwav.tar.gz") for part in PARTS)

    def tracks(self) -> list[Track]:
        """All notes of the parts that are here."""
        self.place("examples")
        folder = self.place("audio").resolve()
        tables = {part: folder / f"nsynth-{part}" / "examples.json" for part in PARTS}
        self.notes = tuple(f"no {table}" for table in tables.values() if not table.exists())
        found = []
        for part, table in tables.items():
            notes = json.loads(table.read_text(encoding="utf-8")) if table.exists() else {}
            for name, note in notes.items():
                labels = {
                    "instrument": note["instrument_family_str"],
                    "pitch": note["pitch"],
                    "source": note["instrument_source_str"],
                    "tags": note["qualities_str"],
                }
                group = note["instrument_str"] + (" of test" if part == "test" else "")
                path, info = table.parent / "audio" / f"{name}.wav", {"source": f'{table} "{name}"'}
                found.append(Track(name, path, labels, ALIASES[part], group, info=info))
        return self.present(found)

    @classmethod
    def miniature(cls, root: Path) -> None:
        """Two notes of an instrument of train, one of an instrument that validation and test share."""
        for part, names in {
            "train": ("bass_synthetic_033-022-050", "bass_synthetic_033-100-127"),
            "valid": ("keyboard_acoustic_004-060-025",),
            "test": ("keyboard_acoustic_004-060-075",),
        }.items():
            notes = {}
            for name in names:
                instrument, pitch, velocity = name.split("-")
                family, source, _ = instrument.rsplit("_", 2)
                notes[name] = {
                    "note": 201034, "note_str": name, "instrument": 417, "instrument_str": instrument,
                    "instrument_family": 0, "instrument_family_str": family, "instrument_source": 2,
                    "instrument_source_str": source, "pitch": int(pitch), "velocity": int(velocity),
                    "sample_rate": 16000, "qualities": [0] * 10, "qualities_str": ["dark"] if part != "test" else [],
                }  # fmt: skip
                write_tone(root / f"nsynth-{part}" / "audio" / f"{name}.wav")
            write_text(root / f"nsynth-{part}" / "examples.json", json.dumps(notes))
