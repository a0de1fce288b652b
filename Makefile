# Two commands do everything on a fresh machine with Python ≥ 3.11 and make:
#   make demo    set up, then the embedded model answers prompts with JSON
#   make test    set up, then pass the tests
#
# Variables: PYTHON (the interpreter to start from), VENV (where to install),
# TORCH_INDEX (a package index to take torch from; see .ci/install-torch).

PYTHON ?= python3
VENV ?= .venv
TORCH_INDEX ?=
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: demo test long check lint format bench wheel clean

demo: $(VENV)/.installed
	$(BIN)/python examples/demo.py

test: $(VENV)/.installed-dev
	$(BIN)/python -m pytest -n 2 -m "not slow"

long: $(VENV)/.installed-dev
	HYPOTHESIS_PROFILE=nightly $(BIN)/python -m pytest -n 2 -m slow

check: lint test

lint: $(VENV)/.installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.installed-dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(VENV)/.installed-dev
	$(BIN)/python -m bench.masks

wheel: $(VENV)/.installed-dev
	$(PIP) build
	rm -rf dist
	$(BIN)/python -m build --wheel
	TORCH_INDEX='$(TORCH_INDEX)' $(BIN)/python tests/install_wheel.py dist

# torch first and alone: asked for by another package, it may come as gigabytes of CUDA.
$(VENV)/.installed: pyproject.toml constraints.txt .ci/install-torch
	$(PYTHON) -m venv $(VENV)
	TORCH_INDEX='$(TORCH_INDEX)' .ci/install-torch $(BIN)/python
	$(PIP) --editable .
	touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(PIP) --editable '.[test,lint]'
	touch $@

clean:
	rm -rf $(VENV) dist build .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
