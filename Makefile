# Each target sets up what it needs; a fresh machine needs Python 3.10 to 3.12 with pip, and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
OUT ?= out/demo
WEIGHTS ?= training/weights
LEGS ?= $(basename $(notdir $(wildcard tools/matrix/*.txt)))
MATRIX_TESTS := tests/types tests/kernels tests/controls tests/kit $(patsubst %,tests/render/test_%.py, \
	blend_shapes lens old_usd planes renderer see_through trace walk)

.PHONY: demo test test-matrix lint types layers unit bench weights training-data prompt-reader clean

demo: $(VENV)/.headless
	$(BIN)/cosmos-bridge demo --out $(OUT)

test: lint types layers unit

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.dev
	$(BIN)/mypy

layers: $(VENV)/.dev
	$(BIN)/lint-imports --no-cache

unit: $(VENV)/.dev
	$(BIN)/python -m pytest -n 2 --dist loadfile --cov --cov-report=term:skip-covered --cov-report=json:build/coverage.json
	$(BIN)/python tools/check_coverage.py build/coverage.json

# Kernels, kit and renderer on what each Isaac Sim brings along; only some of it: make test-matrix LEGS=isaac-5.0
test-matrix: $(LEGS:%=matrix-%)

.PRECIOUS: .venv-matrix/%/.ready
matrix-%: .venv-matrix/%/.ready
	PYTHONPATH=$(CURDIR)/exts/cosmos.bridge:$(CURDIR)/models .venv-matrix/$*/bin/python -m pytest -q -W ignore::DeprecationWarning -p no:cacheprovider $(MATRIX_TESTS)

.venv-matrix/%/.ready: tools/matrix/%.txt
	python=python$$(sed -n 's/^# Python //p' $<); \
	$$python -c '' || { echo "$* needs a $$python that starts; with pyenv, list one of each in PYENV_VERSION." >&2; exit 1; }; \
	$$python -m venv --clear $(@D)
	$(@D)/bin/python -m pip install --quiet --disable-pip-version-check -r $<
	touch $@

bench: $(VENV)/.dev
	$(BIN)/python tools/bench/run.py

# The embedded Transfer model from nothing: stages, path-traced targets, prompt reader, net, figures. About four hours on
# two cores; stopped, it goes on where it was. Over the shipped ones: make weights WEIGHTS=models/weights/transfer-small
weights: training-data prompt-reader
	$(BIN)/python tools/train_transfer.py --data training/data --run training/transfer-small --out $(WEIGHTS) --processes 2
	$(BIN)/python tools/evaluate_transfer.py --weights $(WEIGHTS) --scenes 7 --named 18

training-data: $(VENV)/.dev
	$(BIN)/python tools/make_training_data.py --out training/data --scenes 0:2400 --workers 2
	$(BIN)/python tools/make_training_data.py --out training/data --scenes 900000:900014 --workers 2

prompt-reader: $(VENV)/.dev
	$(BIN)/python tools/train_prompt_reader.py --run training/reader --out $(WEIGHTS)

$(VENV)/.python:
	$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(None if (3, 10) <= v <= (3, 12) else f"cosmos-bridge needs Python 3.10 to 3.12, but $(PYTHON) is {v[0]}.{v[1]}; say make PYTHON=python3.12 demo.")'
	$(PYTHON) -m venv $(VENV)
	touch $@

$(VENV)/.headless: $(VENV)/.python pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[headless]"
	touch $@

$(VENV)/.dev: $(VENV)/.headless
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[headless,cosmos,dev]"
	touch $@

clean:
	rm -rf $(VENV) .venv-matrix build dist out
