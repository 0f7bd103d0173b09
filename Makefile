# `make run` serves, `make test` proves; both set everything up first.
PYTHON ?= python3
CONFIG ?= config.toml
V := .venv/bin

.PHONY: run test torture check demo fuzz conformance bench bench-check bench-pulls clean format setup setup-dev lock

run: setup
	@exec $(V)/python server.py --config $(CONFIG)

setup: .venv/ready
setup-dev: .venv/ready-dev

# A lock is installed as it stands: no resolver, and no build that fetches tools of its own. The locked pip does it,
# because an older one takes the newest release of whatever the lock does not spell as it expects.
PIP := $(V)/python -m pip --quiet --quiet --disable-pip-version-check
install = $(PIP) install --no-deps --require-hashes --only-binary :all: --requirement requirements-build.lock \
	&& $(PIP) install --no-deps --require-hashes --no-build-isolation --requirement $(1) \
	&& $(PIP) install --no-deps --no-build-isolation --editable . && $(PIP) check

.venv/bin/python:
	@sh scripts/debian-packages.sh run
	$(PYTHON) -m venv .venv

.venv/ready: requirements.lock requirements-build.lock pyproject.toml | .venv/bin/python
	@sh scripts/debian-packages.sh run
	@echo "Installing pinned packages ..."
	@$(call install,requirements.lock)
	@touch $@

.venv/ready-dev: requirements-dev.lock requirements-build.lock pyproject.toml | .venv/bin/python
	@sh scripts/debian-packages.sh test
	@echo "Installing pinned packages ..."
	@$(call install,requirements-dev.lock)
	@touch .venv/ready $@

check: setup-dev
	$(V)/ruff format --check
	$(V)/ruff check
	$(V)/mypy
	$(V)/lint-imports
	$(V)/deptry .
	$(V)/vulture

test: check
	$(V)/pytest -n auto --cov --cov-report=term

# The service killed 300 times; takes a quarter of an hour.
torture: setup-dev
	$(V)/python -m tests.torture --kills 300

# Real Keystone, Tempest and clients; the scripts that drive them are not part of this project.
PEERS ?= ../shared/peers/clients
conformance: setup-dev
	@env -u PEERS nice bash scripts/conformance.sh "$(PEERS)"

demo: setup
	@sh scripts/debian-packages.sh demo
	@$(V)/python demo/main.py

format: setup-dev
	$(V)/ruff format
	$(V)/ruff check --fix

lock:
	sh scripts/lock.sh

clean:
	rm -rf .venv data .coverage* .mypy_cache .ruff_cache .pytest_cache .hypothesis

bench: setup-dev
	$(V)/python -m bench run

bench-check: setup-dev
	$(V)/python -m bench check

bench-pulls: setup-dev
	$(V)/python -m bench.pulls

# Each harness for so long; `pip install atheris` first makes the search follow coverage.
FUZZ_SECONDS ?= 60
fuzz: setup-dev
	@$(V)/python -m fuzz $(FUZZ_SECONDS)
	@if $(V)/python -c "import atheris" 2>/dev/null; then \
		$(V)/python fuzz/formats/fuzz_inspector.py -max_total_time=$(FUZZ_SECONDS); fi
