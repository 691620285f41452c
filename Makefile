# install | demo | check | test | bench-*: see README.md. Every target installs what it needs first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: install transcoding dev demo check test peers bench-dimse bench-orders bench-store bench-worklist torture format clean

install: $(VENV)/.installed
dev: $(VENV)/.dev

$(VENV)/.installed: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	touch $@

# pip compiles what it copies, but an editable install leaves each start to do so (0.4 s) where Python may not write.
COMPILE = $(BIN)/python -m compileall -q broker hl7

$(VENV)/.dev: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

# Decoders, for destinations whose rule lets the broker transcode: beside the rest, so that one process alone loads them.
DECODERS = numpy pylibjpeg pylibjpeg-libjpeg pylibjpeg-openjpeg pylibjpeg-rle
transcoding: $(VENV)/.transcoding

$(VENV)/.transcoding: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt --no-deps --upgrade --target $(VENV)/transcoding $(DECODERS)
	touch $@

demo: install
	$(COMPILE)
	$(BIN)/python -m tests.demo

check: dev
	$(COMPILE)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -q -n 2 -m "not foreign and not slow" tests

peers:
	$(PYTHON) tests/peers/install.py

test: dev peers transcoding
	$(COMPILE)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -n 3 --dist loadgroup tests

torture: dev peers
	$(BIN)/python -m tests.torture
	$(BIN)/python -m tests.torture.store
	BROKER_EXAMPLES=$${BROKER_EXAMPLES:-10000} $(BIN)/python -m pytest -q --timeout=7200 tests/property tests/unit/hl7/test_properties.py
	BROKER_STOW_RUNS=$${BROKER_STOW_RUNS:-2000} $(BIN)/python -m pytest -q -n 2 tests/unit/delivery/senders/test_stow_faults.py
	BROKER_ALL_KILLS=1 $(BIN)/python -m pytest -q -k "killed or end_at_any_point or state_that_existed" tests/scenarios

bench-dimse: dev peers
	$(BIN)/python -m tests.bench.dimse

bench-orders: dev peers
	$(BIN)/python -m tests.bench.orders

bench-store: dev peers
	$(BIN)/python -m tests.bench.store

bench-worklist: dev peers
	$(BIN)/python -m tests.bench.worklist

format: dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf $(VENV) var build *.egg-info .mypy_cache .ruff_cache .pytest_cache
