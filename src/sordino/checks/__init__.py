"""The contracts as checks: what every backbone, method, task and dataset must keep, the package's own and others'.

`methods.py`, `backbones.py`, `tasks.py` and `datasets.py` hold one function for each promise; its docstring says the
promise. The tests run all of them over the package's own, `sordino check` over what a user brings.
"""
