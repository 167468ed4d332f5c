"""What a study found: tables, comparisons, plots, one page."""
