# make run | test | check | docs | bench | chaos | fuzz; needs python3 (3.11 or newer) with its venv module, nothing else.
# Another interpreter: make run PYTHON=python3.12. More arguments: make test ARGS="tests/unit -k wire".
# Everything is installed into .venv, editable: the sources used are those of this checkout.

PYTHON  ?= python3
VENV    ?= .venv
WORKERS ?= 2
ARGS    ?=
MINUTES ?= 2
EVENTS  ?= 100000
SECONDS ?= 60

BIN     := $(VENV)/bin
PIP     := $(BIN)/python -m pip install --quiet --disable-pip-version-check
VERSION := $(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])')
# Exists in an environment that is of $(PYTHON)'s version.
READY   := $(VENV)/.python-$(VERSION)

EXAMPLE := $(patsubst %/setup.cfg,-e ./%,$(wildcard services_example/setup.cfg))
ZONE    := $(patsubst %/setup.cfg,-e ./%,$(wildcard plugins/vyked-zone/setup.cfg))
PLUGINS := $(patsubst %/setup.cfg,-e ./%,$(wildcard plugins/*/setup.cfg))
SUITES  := $(patsubst %/tests,%,$(wildcard services_example/tests plugins/*/tests))
# Shipped packages beside vyked_host, and the benchmarks: typed alike.
TYPED   := benchmarks $(filter-out %/tests,$(patsubst %/__init__.py,%,$(wildcard services_example/*/__init__.py plugins/*/vyked_*/__init__.py plugins/*/vyked/__init__.py)))
# What decides what is installed: a stamp that is older than one of these is made again.
SETUPS  := pyproject.toml setup.cfg $(wildcard services_example/setup.cfg plugins/*/setup.cfg)

.PHONY: help run test check lint format types imports docs bench chaos fuzz sizes clean
.NOTPARALLEL:

help:
	@sed -n '1,3s/^# //p' Makefile

run: $(VENV)/.installed-run
	$(BIN)/vyked-host run vyked.toml $(ARGS)

# Each plugin's and the example's own suite runs as its author would run it, by itself; all run even when one fails.
test: $(VENV)/.installed-test
	@failed=; \
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal $(ARGS) || failed=" tests"; \
	for suite in $(if $(ARGS),,$(SUITES)); do \
	    echo "== $$suite"; \
	    (cd "$$suite" && "$(abspath $(BIN))/python" -m pytest -n $(WORKERS) --dist loadgroup) || failed="$$failed $$suite"; \
	done; \
	if [ -n "$$failed" ]; then echo "failed:$$failed"; exit 1; fi

# make -k check goes on after the first that fails.
check: lint format types imports

lint: $(VENV)/.installed-check
	$(BIN)/ruff check .

format: $(VENV)/.installed-check
	$(BIN)/ruff format --check .

types: $(VENV)/.installed-check
	$(BIN)/mypy
	$(BIN)/mypy $(TYPED)

imports: $(VENV)/.installed-check
	$(BIN)/lint-imports

docs: $(VENV)/.installed-docs
	$(BIN)/sphinx-build -W --keep-going -b html docs docs/_build/html
	@echo "open docs/_build/html/index.html"

bench: $(VENV)/.installed-bench
	$(BIN)/python -m benchmarks rpc $(ARGS)
	$(BIN)/python -m benchmarks startup
	$(BIN)/python -m benchmarks memory
	$(BIN)/python -m benchmarks mesh
	$(BIN)/python -m benchmarks events
	$(BIN)/python -m benchmarks brokers
	$(BIN)/python -m benchmarks semantics
	$(BIN)/python -m benchmarks goals

# Root, ip, iptables and libfaketime; about twenty minutes. MINUTES is for the random run, EVENTS for those that outlive their
# consumers and brokers; FAULTS_SEED=n repeats one.
chaos: $(VENV)/.installed-test
	$(BIN)/python -m pytest tests/chaos -n 0 --minutes $(MINUTES) --events $(EVENTS) $(ARGS)

# SECONDS is for each target; ARGS="open --keep" names targets, and keeps what was found. Where atheris can't be installed the
# corpus is replayed, as the suite does.
fuzz: $(VENV)/.installed-test
	-$(PIP) atheris
	$(BIN)/python -m tests.fuzz --seconds $(SECONDS) $(ARGS)

sizes:
	$(PYTHON) -m tests.architecture.sizes

clean:
	rm -rf .venv build dist docs/_build .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis

# ---- environment -----------------------------------------------------------------------------------------------------
$(VENV)/.installed-run: WHAT = -e . $(EXAMPLE) $(ZONE)
$(VENV)/.installed-test: WHAT = -e ".[test]" $(EXAMPLE) $(PLUGINS)
$(VENV)/.installed-check: WHAT = -e ".[dev,test]" $(EXAMPLE) $(PLUGINS)
$(VENV)/.installed-docs: WHAT = -e ".[docs]"
$(VENV)/.installed-bench: WHAT = -e ".[bench]" $(EXAMPLE) $(ZONE)

$(VENV)/.installed-%: $(SETUPS) $(READY)
	@echo "installing into $(VENV); the first time takes a minute"
	$(PIP) $(WHAT)
	@touch $@

# An environment of this version that stands already is used; one of another version, or a broken one, is made anew.
$(READY):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "vyked-host needs Python 3.11 or newer, this is $(VERSION): make PYTHON=python3.11")'
	@$(BIN)/python -c 'import sys; sys.exit("%d.%d" % sys.version_info[:2] != "$(VERSION)")' 2>/dev/null \
	    || $(PYTHON) -m venv --clear $(VENV)
	@touch $@
