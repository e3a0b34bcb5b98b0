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

.PHONY: install demo test faults damage lint audit sbom fmt lock bench-freshness bench-ingest bench-layout bench-maintain bench-recommend bench-serve bench-small-files bench-surge bench-views bench-workflows conformance prove-views help

install: .venv/installed  ## make .venv from the hash-pinned lock

demo: .venv/installed  ## run the main job on a year of real purchases (ARGS="--limit 50000" for less)
	$(BIN)/lakehouse demo $(ARGS)

test: .venv/installed  ## run every test, in two processes
	$(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder $(ARGS)

faults: .venv/installed  ## faults injected into real processes, then all invariants and mutants (ARGS="--kinds F1,F13,mutants --seed 17" for less)
	$(BIN)/python tests/faults/run.py $(ARGS)

damage: .venv/installed  ## damaged files of a copy of a lake: found, harmless or silent (ARGS="--root lake --seed 17 --faults 60")
	$(BIN)/python tests/faults/damage.py $(ARGS)

lint: .venv/installed  ## style, types and import direction
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/bandit -q -c pyproject.toml -r pipelines ml serving workflows supply

audit: .venv/installed  ## known vulnerabilities of the lock; fails where it could not look (ARGS=--offline: the dated list)
	$(BIN)/python -m supply.audit $(ARGS)

sbom: .venv/installed  ## what the product consists of, as CycloneDX, in build/sbom.json
	$(BIN)/python -m supply.sbom

bench-freshness: .venv/installed  ## from the broker's acknowledgement of an event to the API, through a reaction, and to gold (ARGS="--changes 600 --gold-rate 5000" for less)
	$(BIN)/python -m benchmarks.freshness $(ARGS)

bench-ingest: .venv/installed  ## this ingest beside the guides' and librdkafka + Polars + delta-rs
	$(BIN)/python -m benchmarks.ingest $(ARGS)

bench-layout: .venv/installed  ## bytes that ten typical questions read, beside what holds the answers
	$(BIN)/python -m benchmarks.layout

bench-maintain: .venv/installed  ## compaction beside OPTIMIZE, delta-rs and a plain copy
	$(BIN)/python -m benchmarks.maintain

bench-recommend: .venv/installed  ## recommendations, search and prices beside their peers (ARGS="--quick" for less)
	$(BIN)/python -m benchmarks.recommend $(ARGS)

bench-serve: .venv/installed  ## the API beside a plain FastAPI over Redis, redis-benchmark and a constant answer
	$(BIN)/python -m benchmarks.serve $(ARGS)

bench-small-files: .venv/installed  ## files of a table during 1,000 micro-batches
	$(BIN)/python -m benchmarks.small_files

bench-surge: .venv/installed  ## a continuous ingest under a ten-fold burst (ARGS="--backlog 500000 --steady-s 10 --burst-s 10" for less)
	$(BIN)/python -m benchmarks.surge $(ARGS)

bench-views: .venv/installed  ## refresh of five views beside Spark in full, MERGE and DuckDB (ARGS="--rows 4000000" for less)
	$(BIN)/python -m benchmarks.views $(ARGS)

bench-workflows: .venv/installed  ## overhead of 200 small tasks beside Prefect, a warm Spark task, the idle daemon
	$(BIN)/python -m benchmarks.workflows $(ARGS)

conformance: .venv/installed  ## every documented rule of jobs and bundles that docs/conformance.md lists
	$(BIN)/python tests/workflows/conformance/table.py

prove-views: .venv/installed  ## 1,000 random histories of views against Spark and DuckDB (HISTORIES=80 for less)
	HISTORIES=$(or $(HISTORIES),1000) $(BIN)/pytest -n 2 --dist worksteal tests/pipelines/views/test_histories.py --timeout=0 $(ARGS)

fmt: .venv/installed  ## format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lock:  ## resolve the pins anew (needs uv)
	uv pip compile --python-version 3.11 --universal --extra dev --generate-hashes --no-header \
		--upgrade pyproject.toml -o requirements.lock

help:  ## list these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
