"""Sound from notes: soundfonts, synthesisers, effects, the mix and what happens to a record."""
