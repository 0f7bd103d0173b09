# `make run` serves, `make test` proves; both set everything up first.
PYTHON ?= python3
CONFIG ?= config.toml
EXTRAS ?=
V := .venv/bin

.PHONY: run test torture check demo fuzz conformance bench bench-check bench-pulls clean format setup setup-dev lock

run: setup
	@exec $(V)/python server.py --config $(CONFIG)

# `make setup EXTRAS="keystone sign otel"` adds optional parts; they stay until `make clean`.
setup:
	@$(PYTHON) scripts/environment.py $(EXTRAS)

setup-dev:
	@$(PYTHON) scripts/environment.py dev $(EXTRAS)

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
	rm -rf .venv .venv.lock data .coverage* .mypy_cache .ruff_cache .pytest_cache .hypothesis

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
