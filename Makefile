.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/pip install --quiet --disable-pip-version-check --retries 2 --timeout 30

.venv/installed: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or later is needed, this is " + sys.version.split()[0] if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv .venv
	@echo "installing into .venv (once; about two minutes)"
	@$(PIP) --require-hashes -r requirements.lock 2> .venv/pip.log && \
		$(PIP) --no-deps --no-build-isolation -e . 2>> .venv/pip.log || \
		{ echo "the packages could not be installed (see .venv/pip.log); connect to the network and run make again" >&2; exit 1; }
	@touch $@

.PHONY: install demo test lint fmt lock help

install: .venv/installed  ## make .venv from the hash-pinned lock

demo: .venv/installed  ## run the main job on a year of real purchases (ARGS="--limit 50000" for less)
	$(BIN)/lakehouse demo $(ARGS)

test: .venv/installed  ## run every test
	$(BIN)/pytest $(ARGS)

lint: .venv/installed  ## style, types and import direction
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

fmt: .venv/installed  ## format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lock:  ## resolve the pins anew (needs uv)
	uv pip compile --python-version 3.11 --universal --extra dev --generate-hashes --no-header \
		--upgrade pyproject.toml -o requirements.lock

help:  ## list these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
