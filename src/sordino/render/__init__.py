"""Labelled audio from public-domain scores: read, arrange, synthesise, mix, label.

pieces -> (abc_tunes, chorales) sources -> harmony -> arrange (instruments, drums) -> synth -> mix -> clips ->
corpus. Needs ``pip install 'sordino[render]'`` for the scores, FluidSynth and two soundfonts; nothing of it is
imported by the rest of the package.
"""
