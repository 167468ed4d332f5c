"""Pretraining of `mini` on unlabelled music: a store of features, targets that need no labels, and the loop.

store.py decodes a folder once; quantiser.py turns frames into tokens; masking.py hides some of them;
objectives.py holds what is predicted; labels.py reads the labels that rendered music brings along; batches.py
draws crops; loop.py trains; show.py shows progress.
"""
