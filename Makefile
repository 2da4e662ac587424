# Everything runs in .venv, which the first target builds with the pinned versions of constraints.txt.

PYTHON := $(shell for python in python3 python3.13 python3.12 python3.11; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)
BIN := .venv/bin
STAMP := .venv/.installed

.PHONY: demo test test-slow test-planted bench check docs format clean

demo: $(STAMP)  ## tune a small model on film reviews and report what it learned
	$(BIN)/tunesmith tune reviews

test: $(STAMP)  ## all tests that take seconds each
	$(BIN)/python -m pytest -n 2 -q

test-slow: $(STAMP)  ## the tests that take minutes
	$(BIN)/python -m pytest -q -m slow

test-planted: $(STAMP)  ## verdicts of comparisons on data in which the right one is known, some eight minutes
	$(BIN)/python -m pytest -q -s -m slow tests/app/test_planted.py

bench: $(STAMP)  ## speed and memory against other programs, some minutes
	$(BIN)/python -m benchmarks sft --quick

check: $(STAMP)  ## style, types, import contracts, sizes, generated files in step
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/python scripts/check_source.py
	$(BIN)/python scripts/make_docs.py --check

docs: $(STAMP)  ## regenerate docs/cli.md, docs/recipe.md and the recipes' JSON schema
	$(BIN)/python scripts/make_docs.py

format: $(STAMP)  ## lay the code out as `make check` wants it
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

clean:  ## remove the environment and everything that can be made again
	rm -rf .venv .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache build dist

$(STAMP): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "error: no Python 3.11 or newer found; install one" >&2; exit 1; }
	@echo "building .venv with $(PYTHON): a few minutes, once"
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --progress-bar off 'pip>=24'  # what older ones build of a package looks for the constraints elsewhere
	PIP_CONSTRAINT=constraints.txt PIP_DISABLE_PIP_VERSION_CHECK=1 $(BIN)/python -m pip install --quiet --progress-bar off -e '.[dev]'
	@touch $@
