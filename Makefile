# make demo   install, adapt the built-in model to the built-in music, print the tables, predict on a recording
# make test   install what tests need and run them
# make slow   the tests that take long
# make bench  what everything costs, beside others, on this machine; writes docs/performance.json and .png
# make faults what is promised when things go wrong: kills, full disks, races, bad files; writes the table of docs/reliability.md
# make docs   the generated pages and parts of pages
# make site   the documents as a site, in site/
# make check  what a change must pass: lint, format, import directions, types, generated pages, tests
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed

.PHONY: demo test slow faults check docs site bench clean

demo: $(STAMP)-run
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps musicnn==0.1.0 \
	  || echo "the weights of musicnn could not be installed (musicnn 0.1.0 on PyPI); going on without them"
	$(BIN)/sordino demo

test: $(STAMP)-test
	$(BIN)/python -m pytest -q -n 2 --dist worksteal

slow: $(STAMP)-test
	$(BIN)/python -m pytest -q -m "slow or compile"

check: $(STAMP)-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check --diff src tests tools benchmarks
	$(BIN)/lint-imports
	$(BIN)/pyright
	$(BIN)/python tools/build_docs.py --check
	$(BIN)/python -m pytest -q -n 2 --dist worksteal

docs: $(STAMP)-test
	$(BIN)/python tools/build_docs.py

site: docs
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[docs]"
	$(BIN)/python -m mkdocs build --strict

faults: $(STAMP)-test
	$(BIN)/python -m tests.faults --keep .faults.jsonl --out docs/reliability.md
	rm -f .faults.jsonl

bench: $(STAMP)-test
	$(BIN)/python benchmarks/bench.py --out docs/performance
	$(BIN)/python tools/build_docs.py

.venv/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "sordino needs Python 3.11 or newer; try make PYTHON=python3.12")'
	$(PYTHON) -m venv .venv

$(STAMP)-run: pyproject.toml constraints.txt | .venv/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	touch $@

$(STAMP)-test: $(STAMP)-run
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[test,data,peft,render]"
	touch $@

clean:
	rm -rf .venv runs build dist site
