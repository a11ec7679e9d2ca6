# `make demo` and `make test` bring all they need: see tools/setup.sh, which says what it does and
# how to steer it (PYTHON=, VENV=, SKIP_SYSTEM=). `make` alone lists the targets.

VENV ?= .venv
BIN := $(VENV)/bin
DEMO_ARGS ?= --headless --out build/demo
TEST_ARGS ?=
TEST_WORKERS ?= 2
PINS_ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help setup setup-test demo test sounds lint explore mutants bench pins clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):[^#]*## /\1\t/p' Makefile | expand -t 12

setup: ## bring system packages, virtual environment and dependencies
	@PYTHON='$(PYTHON)' VENV='$(VENV)' SKIP_SYSTEM='$(SKIP_SYSTEM)' tools/setup.sh

setup-test: setup ## bring what only the tests need: git, Node, Convex's JavaScript client, a sound server
	@PYTHON='$(PYTHON)' VENV='$(VENV)' SKIP_SYSTEM='$(SKIP_SYSTEM)' WITH_TESTS=1 tools/setup.sh

demo: setup ## hold one conversation without hardware (DEMO_ARGS=)
	$(BIN)/pommai demo $(DEMO_ARGS)

test: lint setup-test ## lint, then every test, with all branches of states/ covered (TEST_ARGS=, TEST_WORKERS=)
	$(BIN)/python -m pytest -m 'not real_time' --cov --numprocesses $(TEST_WORKERS) --dist loadfile $(TEST_ARGS)
	$(BIN)/python -m pytest -m real_time $(TEST_ARGS)

sounds: setup ## make the toy's own sounds anew (needs flite)
	$(BIN)/python tools/sounds.py

lint: setup ## style, formatting and types
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

explore: setup ## check the state table exhaustively
	$(BIN)/pommai explore

mutants: setup ## break every row of the state table; each break must be noticed
	$(BIN)/python tools/mutants.py

bench: setup ## measure against the budgets
	$(BIN)/pommai bench

# Not after `setup`, which finds fault with pins that lack what pyproject.toml has just been given.
pins: | $(BIN)/python ## rewrite requirements/ and package-lock.json (PINS_ARGS=--upgrade: newest versions)
	$(BIN)/python tools/pins.py $(PINS_ARGS)

$(BIN)/python:
	@$(MAKE) setup

clean: ## remove what was built, and caches; .venv and node_modules stay
	rm -rf build ./*.egg-info .hypothesis
	find . -path './$(VENV)' -prune -o -name __pycache__ -prune -exec rm -rf {} +
