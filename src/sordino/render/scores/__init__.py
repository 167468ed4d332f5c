"""Compositions: tune books, chorales and MIDI files, read into pieces; where they come from."""
