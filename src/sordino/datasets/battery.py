"""A battery of single musical ideas: notes, intervals, scales, triads, progressions, tempi, metres.

It asks what a model's states know of music theory, one idea at a time, on sounds that have nothing else in them. The
clips are made on this machine by `sordino render --battery` (2.1 h); the same on every machine but for the last bits.

Paper: Wei, Freeman, Donahue and Sun, Do Music Generation Models Encode Music Theory?, 2024 (SynTheory)
https://arxiv.org/abs/2410.00872
Differs: own additive timbres and drums instead of a soundfont; splits by timbre, so that a test clip's sound was
    never trained on; modes, triads and progressions are fewer, metres are those that can be told apart by ear.

Conventions: a clip has one label, named after its question (`note`, `interval`, `scale`, `triad`, `progression`,
`metre`: classes, for the task `classification` with `label = "note"`; `tempo`: BPM, for the task `tempo`).
"""

from __future__ import annotations

import json
from pathlib import Path

from sordino.contracts import Dataset, Track
from sordino.datasets._corpus import write_text, write_tone

QUESTIONS = ("note", "interval", "scale", "triad", "progression", "tempo", "metre")


class Battery(Dataset):
    """Clips of one musical idea each."""

    name = "battery"
    title = "Notes, intervals, scales, triads, progressions, tempi, metres, made here"
    labels = QUESTIONS
    citation = "after M. Wei et al.: Do music generation models encode music theory? ISMIR 2024"
    url = "https://arxiv.org/abs/2410.00872"
    licence = "Apache-2.0 (made by this program)"
    splits = "by sound: six timbres and drums train, two validation, two test"
    size = (2310, 2.1)
    get = "`sordino render --battery` makes it."

    def tracks(self) -> list[Track]:
        """All clips.

        Raises:
            FileNotFoundError: it has not been made.
        """
        listed = self.root / "labels.jsonl"
        if not listed.exists():
            raise FileNotFoundError(f"{listed} is not here: `sordino render {self.root} --battery` makes the battery")
        rows = map(json.loads, listed.read_text(encoding="utf-8").splitlines())
        return [Track(row["id"], self.root / row["path"], {row["question"]: row["answer"]}, row["split"], row["sound"])
                for row in rows]  # fmt: skip

    def available(self) -> bool:
        """Whether it has been made."""
        return (self.root / "labels.jsonl").exists()

    @classmethod
    def miniature(cls, root: Path) -> None:
        """A clip of each question in each split."""
        answers = ("C#", "7 semitones", "dorian", "diminished", "I vi IV V", 97.53, "6/8")
        rows = []
        for split in ("train", "validation", "test"):
            for question, answer in zip(QUESTIONS, answers, strict=True):
                path = f"{question}/{split}.flac"
                write_tone(root / path)
                rows.append(json.dumps({"id": f"{question}-{split}", "path": path, "question": question,
                                        "answer": answer, "sound": split, "split": split}))  # fmt: skip
        write_text(root / "labels.jsonl", "\n".join(rows) + "\n")
