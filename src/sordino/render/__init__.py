"""Labelled audio without recordings: bands of sixty styles, tunes, chorales and songs, played, mixed, labelled.

scores (what there is to play) -> charts (what a clip plays, in which key) -> band (who plays what, and when) -> sound
(soundfonts, synthesisers, effects, records) -> clips -> corpus. Needs ``pip install 'sordino[render]'`` for the scores,
FluidSynth and soundfonts; nothing of it is imported by the rest of the package.
"""
