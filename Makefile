# make workbook: environment, the plan `quick`, the result table, the site.   make test: environment, lint, every test.
SHELL := /bin/bash
.ONESHELL:
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.PHONY: setup workbook book slides test faults lint format bench lab address lock clean

PYTHON ?= python3
PLAN ?= quick
LAB_FLAGS ?=
# TORCH=cpu takes the wheels without CUDA (1 GB instead of 6), where pip's index for them can be reached; or cu128, ...
TORCH ?=
BIN := .venv/bin
# Parallel test processes fight for two cores unless each computes on one thread.
ONE_THREAD := OMP_NUM_THREADS=1 MKL_NUM_THREADS=1

# A failed notebook does not keep the others off the site; a mistake in the call (2) does.
workbook: setup
	failed=0; $(BIN)/adautomix run $(PLAN) || failed=$$?; \
		test $$failed -gt 1 || $(BIN)/adautomix book $(PLAN) || failed=$$?; exit $$failed

# The site of any plan that was run: make book PLAN=cifar10, or PLAN="cifar10 --name small".
book: setup
	$(BIN)/adautomix book $(PLAN)

# reveal.js slides of 01, 02, 03 and 41, from tags of their cells; with figures where the plan has run.
slides: setup
	$(BIN)/adautomix slides $(PLAN)

test: lint
	$(ONE_THREAD) $(BIN)/python -m pytest -n 2 --dist loadgroup tests

# Accidents in full, with counts at the end: bit flips, files made to do harm, full disks, malformed command lines. The
# tests are those of `make test`, which tries less of each. FAULTS_SEED=7 chooses others, FAULTS_JSON=FILE keeps the counts.
faults: setup
	FAULTS=full $(ONE_THREAD) $(BIN)/python -m pytest -n 0 tests/faults

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/nbstripout --verify notebooks/*.ipynb

format: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/nbstripout notebooks/*.ipynb

bench: setup
	for script in $(filter-out benchmarks/log_replay.py,$(wildcard benchmarks/[a-z]*.py)); do echo "== $$script"; $(BIN)/python $$script; done

# In a container: make lab LAB_FLAGS="--allow-root --no-browser"
lab: setup
	$(BIN)/jupyter lab notebooks $(LAB_FLAGS)

setup: .venv/.ready

# uv installs the same packages as pip several times faster; it is itself a pip package. A python3 without
# `ensurepip` (Debian without python3-venv) gets its pip from the system's.
.venv/.ready: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "adautomix needs Python 3.11 or newer, this is " + sys.version.split()[0] + "; choose one with: make PYTHON=python3.12 setup")'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv 2>/dev/null || $(PYTHON) -m venv --without-pip --clear .venv
	test -x $(BIN)/pip || $(PYTHON) -m pip --python $(BIN)/python install --quiet pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt uv
	VIRTUAL_ENV="$(CURDIR)/.venv" $(BIN)/uv pip install --compile-bytecode $(if $(TORCH),--torch-backend $(TORCH)) \
		--constraint constraints.txt --editable '.[lab,book,dev]'
	touch $@

# When the repository has a public address: links to Colab and Binder in every notebook. make address REPOSITORY=owner/name
address: setup
	$(BIN)/python -m adautomix.book.address "$(REPOSITORY)"

# Refresh the tested versions from the newest releases (then run the tests).
lock:
	test -x $(BIN)/uv || { echo "run make setup first"; exit 2; }
	$(BIN)/uv pip compile --quiet --universal --upgrade --all-extras --no-header --no-annotate --python-version 3.11 pyproject.toml \
		| grep -v -E '^(nvidia-|cuda-|triton)' > constraints.tmp
	{ echo "# Versions the tests were run with; written by 'make lock'. Not a dependency list: see pyproject.toml."; cat constraints.tmp; \
		echo "uv==$$($(BIN)/uv --version | cut -d' ' -f2)"; } > constraints.txt
	rm constraints.tmp

clean:
	rm -rf .venv .pytest_cache .ruff_cache
