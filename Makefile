# make run: set everything up and start the app. make test: the same for all checks and tests. make fast: the tests that
# need neither workers nor a browser. make format: put Python and JavaScript into shape. make bench: the figures.
PYTHON ?= python3
BIN := $(if $(filter Windows_NT,$(OS)),.venv/Scripts,.venv/bin)
PIP := $(BIN)/python -m pip install --quiet --constraint constraints.txt --requirement
COMPONENTS := fmnist_core/ui/components

.PHONY: run test fast check javascript format bench constraints

.venv/made:
	@$(PYTHON) -c 'import sys; from fmnist_core.installation import python_problem; sys.exit(python_problem(sys.version_info[:2]) or None)'
	$(PYTHON) -m venv .venv
	touch $@

.venv/run: requirements.txt constraints.txt | .venv/made
	$(PIP) requirements.txt
	touch $@

.venv/dev: requirements-dev.txt requirements.txt constraints.txt | .venv/made
	$(PIP) requirements-dev.txt
	touch .venv/run $@

$(COMPONENTS)/node_modules/.package-lock.json: $(COMPONENTS)/package-lock.json
	npm ci --silent --prefix $(COMPONENTS)
	touch $@

run: .venv/run
	$(BIN)/streamlit run app.py

check: .venv/dev javascript
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

javascript:
	@if command -v npm >/dev/null; then \
		$(MAKE) --no-print-directory $(COMPONENTS)/node_modules/.package-lock.json && npm --silent --prefix $(COMPONENTS) run check; \
	elif [ -n "$$CI" ]; then echo "Node.js with npm is missing: .ci/run installs it." >&2; exit 1; \
	else echo "JavaScript is not checked: Node.js with npm is missing."; fi

format: .venv/dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	if command -v npm >/dev/null; then $(MAKE) $(COMPONENTS)/node_modules/.package-lock.json && npm --prefix $(COMPONENTS) run format; fi

test: check
	$(BIN)/pytest -n 2 --dist loadgroup

fast: .venv/dev
	$(BIN)/pytest -m "not engine and not browser" -n 2 --dist loadgroup

bench: .venv/dev
	$(BIN)/python -m benchmarks

constraints: .venv/dev
	$(BIN)/python -m pip install --quiet --upgrade --requirement requirements-dev.txt
	(head -1 constraints.txt; $(BIN)/python -m pip freeze) > constraints.new && mv constraints.new constraints.txt
