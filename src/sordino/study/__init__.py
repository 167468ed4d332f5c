"""Grids of runs, plain baselines beside them, tables and plots."""
