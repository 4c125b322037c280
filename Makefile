# make demo and make test set up everything that they need, once; afterwards they start in seconds.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test lint docs-check assets constraints clean

demo: $(VENV)/.installed
	@$(BIN)/tracker demo

test: assets
	@$(BIN)/python -m pytest -n 2 --dist loadfile --cov=tracker --cov=adapters --cov-report=term:skip-covered

lint: $(VENV)/.installed
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo

docs-check: $(VENV)/.installed
	@$(BIN)/python -m tests.support.docs_check

assets: $(VENV)/.installed
	@$(BIN)/tracker assets pull >/dev/null
	@$(BIN)/tracker assets pull whisper-tiny.en >/dev/null

$(VENV)/.installed: pyproject.toml constraints.txt | $(VENV)/bin/python
	@echo "installing into $(VENV); the first time takes a few minutes ..."
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	    echo "Python 3.11 or newer is needed, and $(PYTHON) is not ($$($(PYTHON) -V 2>&1 | head -n 1)); name one: make PYTHON=python3.12"; \
	    exit 1; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 1; }

# The newest versions that pyproject.toml allows; run the tests with them before committing the file.
constraints: $(VENV)/bin/python
	@set -e; new=$$(mktemp -d); trap 'rm -rf "$$new"' EXIT; \
	$(BIN)/python -m venv "$$new"; "$$new/bin/pip" install -qq --disable-pip-version-check '.[dev]'; \
	{ echo "# The versions that were tested; make constraints renews them."; \
	    "$$new/bin/pip" freeze --exclude emotion-tracker | sed 's/+cpu$$//'; } > constraints.txt

clean:
	rm -rf $(VENV) build dist *.egg-info
