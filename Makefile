# One entry for everything. `make demo` and `make test` set up what they need; CI calls `make test`.
SHELL := /bin/bash
.DELETE_ON_ERROR:
.PHONY: install check format test demo bench papers docs golden clean

BIN := .venv/bin
INSTALLED := .venv/.installed
WORKERS ?= 2
RECENT = import sys; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(shell for python in python3 python3.11 python3.12 python3.13 python3.14; do \
	$$python -c '$(RECENT)' 2>/dev/null && echo $$python && break; done)

install: $(INSTALLED)

$(INSTALLED): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "carousel needs Python 3.11 or newer; say where it is: make PYTHON=..."; exit 1; }
	$(PYTHON) -m venv .venv
	PIP_CONSTRAINT=constraints.txt $(BIN)/python -m pip install --quiet --editable '.[all,test,dev]'
	@touch $@

check: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/basedpyright

format: install
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

test: check
	OMP_NUM_THREADS=1 $(BIN)/pytest -n $(WORKERS) --dist worksteal

demo: install
	$(BIN)/carousel fit forecast src/carousel/data/sets/co2_weekly.csv --target ppm --horizon 26 \
		--nan mask --out runs/demo --force

bench: install
	$(BIN)/python -m benchmarks

papers: install
	for experiment in papers/*/run.py; do $(BIN)/python $$experiment || exit 1; done

docs: install
	$(BIN)/python docs/generate.py

golden: install
	CAROUSEL_WRITE_GOLDEN=1 $(BIN)/pytest -q tests/test_house.py -k golden

clean:
	rm -rf .venv build dist runs .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find src tests docs benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +
