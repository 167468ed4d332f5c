"""GuitarSet: 360 half-minute guitar pieces with chords, beats, tempo and key.

Paper: Xi et al., GuitarSet: A Dataset for Guitar Transcription, ISMIR 2018 https://guitarset.weebly.com
Conventions: one JAMS file per piece; the first chord annotation is the lead sheet (what was to be played). The key
is the file's own `key_mode`; a file without one is not labelled: its name tells the tonic (`Eb` in
`00_BN1-129-Eb_comp`), but the mode stands nowhere but in the title of the piece. No official split: here by player, 00
to 03 train, 04 validation, 05 test, so that no player is in two (the lead sheets are shared).
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Literal

from sordino.contracts import Archive, Track
from sordino.datasets._corpus import Corpus, sounds, write_text, write_tone
from sordino.datasets._jams import read_jams

ZENODO = "https://zenodo.org/record/3371780/files"


class GuitarSet(Corpus):
    """Guitar, microphone recordings."""

    name = "guitarset"
    title = "GuitarSet"
    labels = ("chord", "beat", "tempo", "key", "genre")
    licence = "CC-BY-4.0"
    citation = "Q. Xi et al.: GuitarSet: a dataset for guitar transcription. ISMIR 2018"
    url = "https://zenodo.org/records/3371780"
    size = (360, 3.0)
    splits = "by player: 00 to 03 train, 04 validation, 05 test"
    places = {"audio": ("audio_mono-mic", "audio_mono-pickup_mix"), "annotations": ("annotation",)}
    get = "Everything is on Zenodo (annotation.zip, audio_mono-mic.zip)."
    archives = (
        Archive(f"{ZENODO}/annotation.zip", "b39b78e63d3446f2e54ddb7a54df9b10", "annotation"),
        Archive(f"{ZENODO}/audio_mono-mic.zip", "275966d6610ac34999b58426beb119c3", "audio_mono-mic"),
    )

    def tracks(self) -> list[Track]:
        """All pieces; the style (`Jazz`, `BN`, ...) is the genre."""
        here = {stem.rsplit("_", 1)[0]: path for stem, path in sounds(self.place("audio")).items()}
        found = []
        for path in sorted(self.place("annotations").glob("*.jams")):
            player, piece, _ = path.stem.split("_")
            labels = {
                **dict.fromkeys(self.labels),
                **read_jams(path)[0],
                "genre": piece.split("-")[0].rstrip("123"),
            }
            sound = here.get(path.stem, Path("absent"))
            found.append(Track(path.stem, sound, labels, _split(player), player, info={"source": str(path)}))
        return self.present(found)

    @classmethod
    def miniature(cls, root: Path) -> None:
        """A piece of three players, one of them without a key, one with a beat that has no place in the bar."""
        for player in ("00", "04", "05"):
            name = f"{player}_BN1-129-Eb_comp"
            write_tone(root / "audio_mono-mic" / f"{name}_mic.wav", 2.0)
            content = json.loads(json.dumps(_EXAMPLE))
            if player == "04":
                del content["annotations"][-1]
                content["annotations"][1]["data"][0]["value"] = {"position": math.nan, "measure": 1}
            write_text(root / "annotation" / f"{name}.jams", json.dumps(content))


def _split(player: str) -> Literal["train", "validation", "test"]:
    return "test" if player == "05" else "validation" if player == "04" else "train"


def _annotation(namespace: str, *values: object, step_s: float = 2.0) -> dict[str, object]:
    data = [{"time": step_s * n, "duration": step_s, "value": value} for n, value in enumerate(values)]
    return {"namespace": namespace, "data": data}


_EXAMPLE = {
    "file_metadata": {"title": "00_BN1-129-Eb_comp", "duration": 2.0, "artist": ""},
    "annotations": [
        _annotation("note_midi", 63.0),
        _annotation(
            "beat_position",
            *({"position": n, "measure": 1, "num_beats": 4} for n in (1, 2, 3, 4)),
            step_s=0.5,
        ),
        _annotation("tempo", 129),
        _annotation("chord", "D#:maj7"),
        _annotation("chord", "D#:maj/1"),
        _annotation("key_mode", "Eb:major"),
    ],
}
