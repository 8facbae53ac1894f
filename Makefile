# Two commands for a newcomer: `make demo` and `make test`. `make help` lists the rest.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
WORKERS ?= 2
# A file is one worker's, so that its fixtures are made once.
PYTEST = $(BIN)/python -m pytest -q -n $(WORKERS) --dist loadfile

.DEFAULT_GOAL := help
.PHONY: help demo test test-quick check docs format train-extra wheel release-check clean

help: ## list the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 16

demo: $(VENV)/.installed ## set everything up, analyze a real photo, show the result
	@$(BIN)/mien demo

test: $(VENV)/.dev ## run all tests, on WORKERS=2 cores
	$(PYTEST)

test-quick: $(VENV)/.dev ## run the tests of about three seconds or less
	$(PYTEST) -m "not slow"

check: $(VENV)/.dev ## ruff, mypy, pyright, import-linter, documentation; after train-extra
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/basedpyright --level error tests/typed_user.py
	@PATH="$(CURDIR)/$(BIN):$$PATH" basedpyright --verifytypes mien --ignoreexternal > .types.log \
	  || { grep -A2 -B1 error: .types.log; grep score .types.log; rm .types.log; exit 1; }; rm .types.log
	$(BIN)/lint-imports
	$(BIN)/mkdocs build --quiet --strict

docs: $(VENV)/.dev ## build the documentation into site/, checking every link
	$(BIN)/mkdocs build --quiet --strict
	@echo "open site/index.html"

format: $(VENV)/.dev ## tidy the code
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

train-extra: $(VENV)/.dev ## add PyTorch, for training and its tests
	$(BIN)/python -m pip install --quiet torch==2.13.0

wheel: $(VENV)/.dev ## build the wheel into dist/
	$(BIN)/python -m pip wheel --quiet --no-deps --wheel-dir dist .

release-check: $(VENV)/.dev ## build sdist and wheel, check them, and try the wheel alone
	$(BIN)/python scripts/release_check.py

clean: ## remove what the targets made
	rm -rf $(VENV) dist site demo .mypy_cache .ruff_cache .pytest_cache

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "mien needs Python 3.11 or newer; try: make PYTHON=python3.12 demo")'
	@echo "making a virtual environment in $(VENV)"
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: $(VENV)/bin/python pyproject.toml
	@echo "installing mien and what it needs (a minute or two)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e .
	@touch $@

$(VENV)/.dev: $(VENV)/.installed
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $@
