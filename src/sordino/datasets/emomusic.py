"""emoMusic: 744 excerpts of 45 s with arousal and valence.

Paper: Soleymani et al., 1000 Songs for Emotional Analysis of Music, CrowdMM 2013
https://doi.org/10.1145/2506364.2506365; split: Castellon et al., Codified Audio Language Modeling, ISMIR 2021
https://github.com/p-lambda/jukemir
Conventions: the label `emotion` holds the means of `static_annotations.csv`, 1 to 9 each; the task `regression` reports
R2 of both as that paper does. The authors left 256 repeated songs of 1000 out. Cells have tabs and spaces around them.
The published split tests on MediaEval's evaluation set; its other artists are dealt 80/20 to train and validation by
the SHA-1 of the name: 504, 115, 125. Of its 125 test tracks 66 share an artist with train or validation;
`split=artist` keeps all artists together.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Literal

from sordino.contracts import Archive, Track
from sordino.datasets._annotations import table
from sordino.datasets._corpus import Corpus, sounds, write_text, write_tone
from sordino.datasets._splits import SplitName, split_of

PUBLISHED = "http://cvml.unige.ch/databases/emoMusic"
TOLD = {
    "jukemir": "jukemir's 504/115/125; 66 of the 125 test tracks share an artist with train or validation",
    "artist": "made here: 80/10/10 by artist, seed 0",
}


class EmoMusic(Corpus):
    """Arousal and valence.

    Args:
        split: `jukemir` is that of Castellon et al. (2021), whose test artists are also in train; `artist` makes one
            here, 80/10/10 by artist.
    """

    name = "emomusic"
    title = "emoMusic"
    labels = ("emotion", "genre")
    licence = "audio: Creative Commons, per song (Free Music Archive); annotations: none stated, research use"
    citation = "M. Soleymani et al.: 1000 songs for emotional analysis of music. CrowdMM 2013"
    url = "https://cvml.unige.ch/databases/emoMusic"
    size = (744, 9.3)
    splits = "jukemir's 504/115/125, or 80/10/10 by artist (`split`)"
    places = {
        "audio": ("clips_45seconds", "audio"),
        "songs": ("songs_info.csv", "annotations/songs_info.csv"),
        "emotions": ("static_annotations.csv", "annotations/static_annotations.csv"),
    }
    get = "clips_45sec.tar.gz and annotations.tar.gz are on the authors' page."
    archives = (
        Archive(f"{PUBLISHED}/clips_45sec.tar.gz", "3994a5d5fefc27f9540d1a69cd7f1294c68e6cb311ce49765021e2e9c7a1057b"),
        Archive(
            f"{PUBLISHED}/annotations.tar.gz",
            "e0cb0b06e1b0ce7f04b1572fc410937699b7fad9dae67ddaa745f06cda4b0b33",
            "annotations",
        ),
    )

    def __init__(
        self,
        root: str | Path | None = None,
        version: str | None = None,
        split: Literal["jukemir", "artist"] = "jukemir",
    ):
        super().__init__(root, version)
        self.split, self.splits = split, TOLD[split]

    def tracks(self) -> list[Track]:
        """All songs that are annotated."""
        here, songs = sounds(self.place("audio")), self.place("songs")
        emotion_of = {
            row["song_id"]: {name: row[f"mean_{name}"] for name in ("arousal", "valence")}
            for row in table(self.place("emotions"))
        }
        found = []
        for line, row in enumerate(table(songs), start=2):
            name, artist = row["song_id"], plain_artist(row["Artist"])
            if name in emotion_of:
                labels = {"emotion": emotion_of[name], "genre": row["Genre"]}
                by_artist = self.split == "artist"
                split = split_of(artist or name) if by_artist else published_split(artist, row["Mediaeval 2013 set"])
                info = {"source": f"{songs} line {line}", "artist": row["Artist"], "title": row["Song title"]}
                path, group = here.get(name, Path("absent")), artist if by_artist else ""
                found.append(Track(name, path, labels, split, group, info=info))
        return self.present(found)

    @classmethod
    def miniature(cls, root: Path) -> None:
        """Four annotated songs, two of one artist in different splits, and one that is not annotated."""
        songs = (
            (2, "The New Mystikal Troubadours", "development"), (3, "Kevin MacLeod", "evaluation"),
            (4, '"Kevin, MacLeod"', "development"), (7, "un automne à Lob-Nor", "development"),
            (8, "Sláinte", "development"),
        )  # fmt: skip
        rows = "".join(f"{n},{n}.mp3\t,{artist}\t,Title \t, 0.48,1.33,Blues\t,{part}\n" for n, artist, part in songs)
        head = "song_id,file_name,Artist,Song title,start of the segment (min.sec),end of the segment (min.sec),Genre,"
        write_text(root / "annotations" / "songs_info.csv", f"{head}Mediaeval 2013 set\n{rows}")
        emotions = "2,3.1,0.99443,3,0.66667\n3,5.6,1.1,4.25,0.9\n4,6.2,1.3,5.5,1.2\n7,4,0.5,6.1,1\n"
        head = "song_id,mean_arousal,std_arousal,mean_valence,std_valence"
        write_text(root / "annotations" / "static_annotations.csv", f"{head}\n{emotions}")
        for number, _, _ in songs:
            write_tone(root / "clips_45seconds" / f"{number}.mp3")


def plain_artist(name: str) -> str:
    """An artist's name as the published split hashes it: small ASCII letters, one space between words."""
    letters = "".join(sign for sign in name.lower() if sign.isascii() and (sign.isalpha() or sign.isspace()))
    return " ".join(letters.split())


def published_split(artist: str, part: str) -> SplitName:
    """Castellon et al.'s split of a song from its artist, plain, and its part of MediaEval 2013."""
    if part == "evaluation":
        return "test"
    return "train" if int(hashlib.sha1(artist.encode()).hexdigest(), 16) % 10 < 8 else "validation"
