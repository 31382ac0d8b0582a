# `make demo` and `make test` make what they need: a virtual environment in .venv, the pinned install, and a stamp.
#
#   PYTHON=python3.12     the Python to make .venv with (3.10 or newer)
#   PIP_ARGS="..."        passed to pip: --extra-index-url with PyTorch's CPU index, --no-index, --find-links …

PYTHONS := python3.11 python3.12 python3.13 python3.10 python3
PYTHON ?= $(shell for each in $(PYTHONS); do $$each -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 10))' \
	>/dev/null 2>&1 && echo $$each && break; done)
PIP_ARGS ?=
BIN := .venv/bin
STAMP := .venv/.installed
PYTEST := $(BIN)/python -m pytest
CORE := not slow and not browser and not heavy
# pytest's status 5 says that there was nothing to run
OR_NOTHING := || [ $$? -eq 5 ]

.PHONY: help install demo test test-all check bench clean

help:
	@echo 'make demo      train, ship, verify, serve, ask and report, on real digits'
	@echo 'make test      the core tests'
	@echo 'make test-all  the core tests, and those that need time, a browser or a heavy toolchain'
	@echo 'make check     ruff, mypy, import-linter'
	@echo 'make bench     cold start and serving beside named peers, ship beside raw conversions'

demo: $(STAMP)
	$(BIN)/python scripts/demo.py

test: $(STAMP)
	$(PYTEST) -m "$(CORE)" $(ARGS) $(OR_NOTHING)

test-all: test
	$(PYTEST) -m "not ($(CORE))" $(ARGS) $(OR_NOTHING)

check: $(STAMP)
	scripts/check

bench: $(STAMP)
	$(BIN)/python benchmarks/cold_start.py
	$(BIN)/python benchmarks/serving.py
	$(BIN)/python benchmarks/ship.py

install: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo 'make: no Python 3.10 or newer with venv and ensurepip found;' \
		'install one (Debian: apt-get install python3-venv) or say make PYTHON=…' >&2; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(PIP_ARGS) -c constraints.txt -e '.[build,quantize,prune,dev]'
	touch $@

clean:
	rm -rf .venv demo build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
