# Everything runs in .venv, which the first target that needs it sets up; PYTHON names the interpreter (3.11 or newer).
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ROOMS := connections schemas definitions producers stream_processors sinks warehouse supervision operations agent server mcenter

.PHONY: demo test test-all fuzz faults check release-check bench up clean lock docs format pictures

demo: $(VENV)/.installed-demo
	$(BIN)/mcenter demo $(DEMO_ARGS)

test: $(VENV)/.installed-dev
	$(BIN)/python -m pytest $(PYTEST_ARGS)

# The tests that take long, too.
test-all: $(VENV)/.installed-dev
	$(BIN)/python -m pytest -m "" $(PYTEST_ARGS)

# The property tests with chance: `make fuzz MINUTES=5 SEED=7 TESTS=tests/sinks`; the seed is printed.
MINUTES ?= 20
fuzz: $(VENV)/.installed-dev
	$(BIN)/python -m tests.fuzz --minutes $(MINUTES) $(if $(SEED),--seed $(SEED)) $(TESTS)

# Signals, crashes, hostile clients and requests with chance, more often than in the suite; the seed is an argument. The last runs are
# the sinks', the processors' and the agents': they report how soon work went on after each kind of fault. ROUNDS counts for all of
# them when it is given; `make faults SINK_ROUNDS=300 SEED=7` is for one.
ifeq ($(origin ROUNDS),undefined)
SINK_ROUNDS ?= 100
PROCESSOR_ROUNDS ?= 100
AGENT_ROUNDS ?= 50
endif
ROUNDS ?= 40
SINK_ROUNDS ?= $(ROUNDS)
PROCESSOR_ROUNDS ?= $(ROUNDS)
AGENT_ROUNDS ?= $(ROUNDS)
FAULTS = FAULT_SEED=$(or $(SEED),$(shell date +%s)) $(BIN)/python -m pytest --numprocesses 0 --timeout 3600
faults: $(VENV)/.installed-dev
	FAULT_ROUNDS=$(ROUNDS) $(FAULTS) \
		tests/mcenter/test_signals.py tests/mcenter/engine/test_crash.py \
		tests/mcenter/engine/test_hostile_clients.py tests/producers/test_spool.py \
		tests/stream_processors/notifications/test_faults.py tests/agent/keeping/test_faults.py
	CONTRACT_EXAMPLES=$(ROUNDS) $(FAULTS) tests/server/test_contract.py
	FAULT_ROUNDS=$(ROUNDS) $(FAULTS) -s tests/sinks/test_two_shards.py
	FAULT_ROUNDS=$(SINK_ROUNDS) $(FAULTS) -s tests/sinks/faults
	FAULT_ROUNDS=$(PROCESSOR_ROUNDS) $(FAULTS) -s tests/stream_processors/faults
	FAULT_ROUNDS=$(AGENT_ROUNDS) $(FAULTS) -s tests/agent/faults

check: $(VENV)/.installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy $(ROOMS)
	$(BIN)/lint-imports

# What must hold before a version is tagged, beside `make test-all` and `make faults`. The wheel and the sdist that it leaves in dist/
# are those that were tried.
release-check: $(VENV)/.installed-dev
	$(BIN)/python -m tests.released.ready
	$(MAKE) check
	rm -rf dist
	$(BIN)/python -m build --no-isolation --outdir dist
	MCENTER_TEST_DISTRIBUTION=dist $(BIN)/python -m pytest -m "" --numprocesses 0 tests/released \
		tests/schemas/test_golden.py tests/server/test_released_names.py tests/test_wheels.py
	$(BIN)/python -m tests.released.ready
	sha256sum dist/*

bench: $(VENV)/.installed-dev
	$(BIN)/python -m benchmarks

# Pictures of the pages in docs/images, from the stack that `make demo KEEP=1` leaves running.
pictures: $(VENV)/.installed-dev
	$(BIN)/python -m tests.server.pictures

docs: $(VENV)/.installed-docs
	$(BIN)/mkdocs build --strict

up: $(VENV)/.installed-demo
	$(BIN)/mcenter up

format: $(VENV)/.installed-dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

$(VENV)/.installed-%: pyproject.toml constraints.txt server/assets/package-lock.json
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed; name one: make $(MAKECMDGOALS) PYTHON=/path/to/python3.12"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[$*]"
	touch $@

# The newest versions that pyproject.toml allows, all at once: installs them in an environment of their own.
lock:
	rm -rf build/lock
	$(PYTHON) -m venv build/lock
	build/lock/bin/python -m pip install --quiet --disable-pip-version-check -e ".[dev,docs]"
	{ echo "# Exact versions that CI and the demo run with; \`make lock\` writes it anew."; \
	  build/lock/bin/python -m pip freeze --exclude-editable --disable-pip-version-check; } > constraints.txt
	rm -rf build/lock

clean:
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
