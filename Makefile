# `make demo` and `make test` do all their own set-up, in a virtual environment of their own, and can be repeated.

# Any Python from 3.10 on; say `make PYTHON=/path/to/python3 demo` to choose one.
PYTHON ?= $(shell for name in python3 python3.14 python3.13 python3.12 python3.11 python3.10 python; do \
	command -v $$name >/dev/null 2>&1 && $$name -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null \
	&& echo $$name && break; done)
VENV := .venv
BIN := $(VENV)/bin
# The warning that an editable install is one says nothing to the person who asked for it.
PIP := PYTHONWARNINGS=ignore $(BIN)/python -m pip --disable-pip-version-check --quiet --no-input
# A virtual environment that happens to be active must not leak into this one.
unexport VIRTUAL_ENV PYTHONPATH PYTHONHOME PYTHONDONTWRITEBYTECODE PIP_USER PIP_TARGET PIP_PREFIX

.PHONY: help demo test check unit torture suites harm harm-part bench bench-quick capture fuzz format clean

help:
	@echo 'make demo         train real models, recorded by one line, and compare them'
	@echo 'make test         every check that CI runs'
	@echo 'make unit         the tests alone;  make check: linters and types alone'
	@echo 'make torture      what breaks things for minutes: kills, damage, full disks, 10 million points'
	@echo 'make suites       the shipped suite for integrations, with frameworks that are slow to import: ten minutes'
	@echo "make harm         the frameworks' own tests, with autolog and without: an hour and more"
	@echo 'make fuzz         ten minutes each of a fuzzer on the journal reader and the filter parser'
	@echo 'make bench        the benchmarks, against every peer;  make bench-quick: the short form'
	@echo "make capture      what autolog and MLflow's autologging keep of the same ten scripts"
	@echo 'make clean        remove what the others made'

demo: $(VENV)/demo.stamp
	@$(BIN)/autolog demo

test: check unit harm-part
	@echo 'All checks passed.'

check: $(VENV)/test.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/mypy
	$(BIN)/basedpyright --pythonpath $(BIN)/python

unit: $(VENV)/test.stamp
	$(BIN)/python -m pytest --cov --cov-report=term:skip-covered

# The tests of reliability at their full length, and those that are too long for every commit.
torture: $(VENV)/test.stamp
	AUTOLOG_TORTURE=1 $(BIN)/python -m pytest tests/torture tests/reliability --durations=20
	$(BIN)/python -m pytest --hypothesis-profile torture tests/unit/test_properties_*.py \
		tests/backends/test_round_trips.py tests/backends/test_filters_agree.py

# What every integration owes its users, of those whose frameworks take seconds to import: ten minutes.
suites: $(VENV)/test.stamp
	$(BIN)/python -m pytest tests/suites

# Tests that nobody here wrote, once without autolog and once with it: they must do the same.
# `make harm HARM='ensemble metrics'` runs some of the suites.
harm: $(VENV)/test.stamp
	$(BIN)/python tests/harm/run.py $(HARM)

harm-part: $(VENV)/test.stamp
	$(BIN)/python tests/harm/run.py --part

bench: $(VENV)/test.stamp
	$(BIN)/python benchmarks/run.py

bench-quick: $(VENV)/test.stamp
	$(BIN)/python benchmarks/run.py --quick

capture: $(VENV)/test.stamp
	$(BIN)/python benchmarks/capture.py

# `make fuzz FUZZ='--seconds 60 --keep filter_parser'` for another time, to keep what is found, for one target.
fuzz: $(VENV)/test.stamp
	@$(PIP) install -c constraints.txt --group fuzz
	$(BIN)/python tests/fuzz/run.py $(FUZZ)

format: $(VENV)/test.stamp
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) .venv-bench build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .coverage

$(VENV)/base.stamp:
	@test -n "$(PYTHON)" || { echo 'autolog needs Python 3.10 or newer, and none was found on the PATH.' >&2; exit 1; }
	@echo 'Making a virtual environment in $(VENV) …'
	@rm -rf $(VENV)
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo 'This Python cannot make virtual environments;' \
		'on Debian and Ubuntu, install the package python3-venv.' >&2; exit 1; }
	@$(PIP) install 'pip>=25.1' 'setuptools>=77'
	@touch $@

$(VENV)/demo.stamp: $(VENV)/base.stamp pyproject.toml constraints.txt
	@echo 'Installing autolog with scikit-learn …'
	@$(PIP) install -c constraints.txt -e '.[sklearn]'
	@touch $@

$(VENV)/test.stamp: $(VENV)/base.stamp pyproject.toml constraints.txt
	@echo 'Installing autolog and everything that its checks need …'
	@$(PIP) install -c constraints.txt -e '.[sklearn,lightgbm,torch,lightning,transformers,keras,optuna,keras-tuner,sql,pandas,plot]' --group dev
	@touch $@ $(VENV)/demo.stamp
