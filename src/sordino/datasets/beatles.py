"""Beatles: 180 songs with chords, beats and keys (Isophonics).

Paper: Mauch et al., OMRAS2 Metadata Project 2009, ISMIR 2009 late-breaking; Harte, PhD thesis, 2010 (chords)
http://isophonics.net/content/reference-annotations-beatles
Conventions: split by album as in the PETL paper: test is Abbey Road and Let It Be (29 songs), validation the
White Album (30), the rest train (121). `chordlab/The
Beatles/01_-_Please_Please_Me/01_-_I_Saw_Her_Standing_There.lab`; the audio has the same folders and names.
The key is the one that holds more than half of the labelled time, else there is none; nor is there where its mode is
neither major nor minor by its third (`C#:modal`).
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Literal

from sordino.contracts import Archive, Track
from sordino.datasets._annotations import lines, number, read_beats, read_chords, read_if
from sordino.datasets._corpus import Corpus, sounds, write_text, write_tone

TEST, VALIDATION = ("Abbey_Road", "Let_It_Be"), ("10CD1_-_The_Beatles", "10CD2_-_The_Beatles")


class Beatles(Corpus):
    """Chords, beats and keys of the Beatles' albums."""

    name = "beatles"
    title = "Beatles (Isophonics)"
    labels = ("chord", "beat", "key")
    licence = "annotations: none stated, free for research; audio: buy the albums (the 1987 CDs fit the times)"
    citation = "M. Mauch et al.: OMRAS2 metadata project 2009. ISMIR late-breaking, 2009"
    url = "http://isophonics.net/content/reference-annotations-beatles"
    size = (180, 8.2)
    splits = "by album: 121 train, 30 validation (White Album), 29 test (Abbey Road, Let It Be)"
    places = {
        "audio": ("audio/The Beatles", "audio", "wav/The Beatles", "wav", "The Beatles"),
        "chords": ("chordlab/The Beatles", "chordlab"),
        "beats": ("beat/The Beatles", "beat"),
        "keys": ("keylab/The Beatles", "keylab"),
    }
    get = "The audio is not published: name your own copies as the annotations are named."
    archives = (
        Archive(
            "http://isophonics.net/files/annotations/The%20Beatles%20Annotations.tar.gz",
            "62425c552d37c6bb655a78e4603828cc",
            "annotations",
        ),
    )

    def tracks(self) -> list[Track]:
        """All songs with chords, beats or a key."""
        chords, beats, keys = folders = self.annotations("chords", "beats", "keys")
        songs = {(path.parent.name, path.stem) for folder in folders if folder for path in folder.glob("*/*.*")}
        here = {(path.parent.name.casefold(), stem.casefold()): path
                for album in self.place("audio").iterdir() if album.is_dir()
                for stem, path in sounds(album).items()}  # fmt: skip
        found = []
        for album, song in sorted(songs):
            labels = {
                "chord": read_if(read_chords, chords, f"{album}/{song}.lab"),
                "beat": read_if(read_beats, beats, f"{album}/{song}.txt"),
                "key": read_if(main_key, keys, f"{album}/{song}.lab"),
            }
            name, sound = f"{album}/{song}", here.get((album.casefold(), song.casefold()), Path("absent"))
            found.append(Track(name, sound, labels, _split(album), album, info={"source": name}))
        return self.present(found)

    @classmethod
    def miniature(cls, root: Path) -> None:
        """A song of each split; an apostrophe, no beats, a comma in a chord, a mode, a folder in another case."""
        for album, song in (
            ("03_-_A_Hard_Day's_Night", "08_-_Any_Time_At_All"),
            ("10CD1_-_The_Beatles", "CD1_-_02_-_Dear_Prudence"),
            ("12_-_Let_It_Be", "06_-_Let_It_Be"),
        ):
            notes = root / "annotations"
            write_tone(root / "audio" / "the beatles" / album.replace("Let_It", "let_it") / f"{song}.flac", 2.0)
            chord = "0.000 0.500 N\n0.500 1.250 E:aug(9,11)\n1.250\t2.000\tA:min7\n"
            write_text(notes / "chordlab" / "The Beatles" / album / f"{song}.lab", chord)
            if song != "08_-_Any_Time_At_All":
                beats = "0.10 4\n 0.60  1\n1.10 New Point\n1.60 3\n"
                write_text(notes / "beat" / "The Beatles" / album / f"{song}.txt", beats)
            parts = "0.0\t0.2\tSilence\n0.2\t1.0\tKey\tD\n1.0\t2.0\tKey\tC:minor\n"
            if song == "06_-_Let_It_Be":
                parts = "0.0\t2.0\tKey\tC#:modal\n"
            write_text(notes / "keylab" / "The Beatles" / album / f"{song}.lab", parts)


def _split(album: str) -> Literal["train", "validation", "test"]:
    if album in VALIDATION:
        return "validation"
    return "test" if any(album.endswith(name) for name in TEST) else "train"


def main_key(path: Path) -> str | None:
    """The key that holds more than half of the labelled time; `D:minor` becomes `D minor`, `D` `D major`."""
    length_s: dict[str, float] = defaultdict(float)
    for line, fields, key in lines(path, 3):
        if key and fields[2] == "Key":
            length_s[key] += number(path, line, fields[1]) - number(path, line, fields[0])
    key = max(length_s, key=length_s.__getitem__, default="")
    tonic, _, mode = key.partition(":")
    if not key or mode == "modal" or length_s[key] * 2 <= sum(length_s.values()):
        return None
    return f"{tonic} {mode or 'major'}"
