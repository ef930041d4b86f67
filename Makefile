# make run: set everything up and start the app. make test: the same for all checks and tests. make bench: the figures.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: run test check bench

.venv/run: requirements.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --requirement requirements.txt
	touch $@

.venv/dev: requirements-dev.txt requirements.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --requirement requirements-dev.txt
	touch .venv/run $@

run: .venv/run
	$(BIN)/streamlit run app.py

check: .venv/dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: check
	$(BIN)/pytest

bench: .venv/dev
	$(BIN)/python -m benchmarks
