# One command, one truth: CI (.ci/run) calls these same targets. Needs python3.11 and make, nothing else.

PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PEERS := $(VENV)/peers/.installed
COMPILED := schemas/compiled.json
DEMO_SECONDS ?= 60
PYTEST := $(BIN)/python -m pytest
# Files of tests run side by side, as many as there are cores, at most four: each process has servers of its own.
SIDE_BY_SIDE := -n logical --maxprocesses 4 --dist loadfile --no-loadscope-reorder
HOT := tests/golden tests/properties $(addprefix tests/unit/,agents core detection identification schemas sinks)

# Tests start processes by the hundred, and each would compile our sources anew.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup toolchain compile demo check format test test-compiled integration bench documents constraints clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(STAMP) ## Make .venv and install everything in it (quick when nothing changed)

$(STAMP): pyproject.toml constraints.txt
	@echo "Installing Touchline into $(VENV): about 250 MB to fetch, one to four minutes, only this once"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $(STAMP)

toolchain: setup ## Say what `make compile` lacks here, and fail; or say nothing
	@$(BIN)/python setup.py --quiet toolchain

compile: $(COMPILED) ## Compile the hot path (an option: needs a C compiler; again after a change; docs/adr/0006)

# What the digest of `schemas.ahead` is of, and what says how.
$(COMPILED): $(STAMP) setup.py pyproject.toml $(shell find schemas sinks/clickhouse streams/core -name '*.py')
	@echo "Compiling the hot path: one to two minutes"
	@mkdir -p build
	@TOUCHLINE_COMPILE=1 $(BIN)/python setup.py --quiet build_ext --inplace >build/compile.log 2>&1 \
		|| { tail -20 build/compile.log; exit 1; }

demo: setup ## Start everything, publish a simulation, show a journey; ends after DEMO_SECONDS (60)
	$(BIN)/touchline demo --seconds $(DEMO_SECONDS)

check: setup ## Format, lint, types, import contracts, generated documents
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m streams.settings.document --check
	$(BIN)/python -m schemas.documents --check
	$(BIN)/python -m schemas.compatibility
	$(BIN)/python -m sinks.clickhouse.dictionary --check

format: setup ## Put files into the form that `make check` wants
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

test: setup ## All tests that need no Java: unit, laws, golden, contracts, integration on the mock broker, faults
	$(PYTEST) $(SIDE_BY_SIDE) -m "not java"

test-compiled: compile ## What tells compiled from plain Python: units, laws and stories of the hot path, compiled
	@$(BIN)/python -c 'import schemas, sys; sys.exit(schemas.MODE != "compiled" and "not compiled: " + schemas.MODE)'
	$(PYTEST) $(SIDE_BY_SIDE) $(HOT)

integration: setup ## The tests on the real Apache Kafka (Java 17+ and Maven)
	$(PYTEST) -m java

bench: setup $(PEERS) ## Measure the road, compiled if it can be, and its peers (some minutes); writes docs/benchmarks.md
	@if $(MAKE) --no-print-directory toolchain; then $(MAKE) --no-print-directory compile; \
		else echo "Measuring plain Python"; fi
	$(BIN)/touchline bench --write

# Peers pin other versions of our libraries, so they live in an environment of their own.
$(PEERS): pyproject.toml
	$(PYTHON) -m venv $(VENV)/peers
	$(BIN)/python -m pip --python $(VENV)/peers/bin/python install --quiet --disable-pip-version-check --group bench
	@touch $(PEERS)

documents: setup ## Write the generated documents anew
	$(BIN)/python -m streams.settings.document
	$(BIN)/python -m schemas.documents
	$(BIN)/python -m sinks.clickhouse.dictionary

constraints: setup ## Write constraints.txt from what is installed
	$(BIN)/python -m pip freeze --all --exclude pip --exclude-editable --disable-pip-version-check > constraints.txt

clean: ## Remove caches and .venv; data under TOUCHLINE_HOME stays
	rm -rf $(VENV) schemas/compiled.json .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist *.egg-info
	find schemas streams sinks bench tests -name __pycache__ -type d -prune -exec rm -rf {} +
	find schemas streams sinks -name '*.so' -delete
