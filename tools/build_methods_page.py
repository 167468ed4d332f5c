"""Write docs/methods.md from the methods themselves."""

from pathlib import Path

from sordino.petl._table import page

if __name__ == "__main__":
    (Path(__file__).parent.parent / "docs" / "methods.md").write_text(page(), encoding="utf-8")
