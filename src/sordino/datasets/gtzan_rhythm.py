"""GTZAN-Rhythm: beats, downbeats and tempo of GTZAN's recordings.

Paper: Marchand and Peeters, Swing Ratio Estimation, 2015 https://hal.science/hal-01252603
Conventions: beats as lines `time position` (`gtzan_blues_00000.beats`), tempo as one number (`.bpm`), as
repacked by https://github.com/TempoBeatDownbeat/gtzan_tempo_beat. The beats of some recordings have no places in the
bar. `jazz.00031` (validation) has 321.64 BPM: it is trained as 160.82 and scored as it stands; the paper left it out.
"""

from __future__ import annotations

from pathlib import Path

from sordino.contracts import Archive, Track
from sordino.datasets._annotations import read_beats, read_if, read_number
from sordino.datasets._corpus import write_text
from sordino.datasets._gtzan import AUDIO, AUDIO_ARCHIVE, GTZAN

COMMIT = "fd9cafdebb6426fee41c3718791be61306323dd7"


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
        "beats": ("beats", "annotations/beats"),
        "tempo": ("tempo", "annotations/tempo"),
    }
    archives = (
        AUDIO_ARCHIVE,
        Archive(
            f"https://github.com/TempoBeatDownbeat/gtzan_tempo_beat/archive/{COMMIT}.zip",
        ),
    )

    def tracks(self) -> list[Track]:
        """The recordings of the filtered list."""
        beats, tempo = self.annotations("beats", "tempo")
        found = []
        for name, (path, split) in self.recordings().items():
            stem = f"gtzan_{name.replace('.', '_')}"
            labels = {
                "beat": read_if(read_beats, beats, f"{stem}.beats"),
                "tempo": read_if(read_number, tempo, f"{stem}.bpm"),
                "genre": name.split(".")[0],
            }
            found.append(Track(name, path, labels, split, info={"source": stem}))
        return self.present(found)

    @classmethod
    def miniature(cls, root: Path, version: str | None = None) -> None:
        """Audio, beats and tempo; of one the beats have no places in the bar, one is faster than 300 BPM."""
        cls.write_sounds(root, version)
        folder = root if version is None else root / f"gtzan_tempo_beat-{COMMIT}"
        for stem in ("gtzan_blues_00029", "gtzan_blues_00000", "gtzan_blues_00012", "gtzan_rock_00010"):
            odd = stem == "gtzan_rock_00010"
            beats = "0.097\n0.682\n1.211\n" if odd else "0.217\t3\n0.695\t4\n0.873\t1\n"
            write_text(folder / "beats" / f"{stem}.beats", beats)
            write_text(folder / "tempo" / f"{stem}.bpm", f"{321.64 if odd else 125.87:.18e}\n")
