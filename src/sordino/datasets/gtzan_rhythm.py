"""GTZAN-Rhythm: beats, downbeats and tempo of GTZAN's recordings.

Paper: Marchand and Peeters, Swing Ratio Estimation, 2015 https://hal.science/hal-01252603
Conventions: beats as lines `time position` (`gtzan_blues_00000.beats`), tempo as one number (`.bpm`), as
repacked by https://github.com/TempoBeatDownbeat/gtzan_tempo_beat.
"""

from __future__ import annotations

from pathlib import Path

from sordino.contracts import Archive, Track
from sordino.datasets._annotations import number, read_beats, read_value
from sordino.datasets._corpus import write_text
from sordino.datasets._gtzan import AUDIO, AUDIO_ARCHIVE, GTZAN

FOLDERS = ("", "gtzan_tempo_beat*/", "annotations/", "gtzan_tempo_beat/")


class GTZANRhythm(GTZAN):
    """Beats and tempo of GTZAN."""

    name = "gtzan_rhythm"
    title = "GTZAN-Rhythm"
    labels = ("beat", "tempo", "genre")
    citation = "U. Marchand, G. Peeters: Swing ratio estimation. DAFx 2015"
    url = "https://github.com/TempoBeatDownbeat/gtzan_tempo_beat"
    size = (930, 7.7)
    places = {
        "audio": AUDIO,
        "beats": tuple(f"{folder}beats" for folder in FOLDERS),
        "tempo": tuple(f"{folder}tempo" for folder in FOLDERS),
    }
    archives = (
        AUDIO_ARCHIVE,
        Archive(
            "https://github.com/TempoBeatDownbeat/gtzan_tempo_beat/archive/refs/heads/main.zip",
            "4baa58112697a8087de04558d6e97442",
        ),
    )

    def tracks(self) -> list[Track]:
        """The recordings of the filtered list."""
        beats, tempo = self.place("beats"), self.place("tempo")
        found = []
        for name, (path, split) in self.recordings().items():
            stem = f"gtzan_{name.replace('.', '_')}"
            beat_file, tempo_file = beats / f"{stem}.beats", tempo / f"{stem}.bpm"
            labels = {
                "beat": read_beats(beat_file) if beat_file.exists() else None,
                "tempo": number(tempo_file, 1, read_value(tempo_file)) if tempo_file.exists() else None,
                "genre": name.split(".")[0],
            }
            found.append(Track(name, path, labels, split, info={"source": str(tempo_file)}))
        return self.present(found)

    @classmethod
    def miniature(cls, root: Path) -> None:
        """Audio, beats and tempo."""
        cls.write_sounds(root)
        for stem in ("gtzan_blues_00029", "gtzan_blues_00000", "gtzan_blues_00012", "gtzan_rock_00010"):
            write_text(root / "beats" / f"{stem}.beats", "0.217\t3\n0.695\t4\n0.873\t1\n")
            write_text(root / "tempo" / f"{stem}.bpm", "1.258700000000000045e+02\n")
