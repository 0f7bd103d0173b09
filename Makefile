# `make run` serves, `make test` proves; both set everything up first.
PYTHON ?= python3
CONFIG ?= config.toml
EXTRAS ?=
V := .venv/bin

.PHONY: run test coverage docs torture boot-debian boot-matrix check demo fuzz conformance bench bench-check bench-pulls clean format setup setup-dev lock smoke fresh-machine

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
	$(V)/pytest -n auto

# The suite again, counting which lines and branches it reaches; a trace of every line takes twice the time.
coverage: setup-dev
	$(V)/pytest -n auto --cov --cov-report=term

# The documents as a site, in site/VERSION; the service serves it under /docs.
docs: setup-dev
	@NO_MKDOCS_2_WARNING=1 $(V)/mkdocs build

# The checks and the part of the suite that shows whether a machine is fit.
SMOKE := tests/test_frame.py tests/test_docs.py tests/test_config.py tests/test_deploy.py tests/test_main_job.py \
	tests/test_undisturbed.py tests/cli tests/guards/test_contract.py
smoke: check
	$(V)/pytest -n auto $(SMOKE)

# The README's commands on a bare Debian 12, as root and as an ordinary user; needs root. FRESH=full runs all tests there.
FRESH ?= smoke
fresh-machine:
	@$(PYTHON) scripts/fresh_machine.py $(FRESH)

# The service killed 300 times; takes a quarter of an hour.
torture: setup-dev
	$(V)/python -m tests.torture --kills 300

# Debian's kernel on a disk that is published in three ways, imported, converted and booted; fetches it, takes minutes.
boot-debian: setup-dev
	$(V)/python scripts/boot_debian.py

# Every packing with every format, imported and booted; takes some minutes.
boot-matrix: setup-dev
	$(V)/python scripts/boot_matrix.py

# Real Keystone, Tempest and clients; the scripts that drive them are not part of this project.
PEERS ?= ../shared/peers/clients
conformance: setup-dev
	@env -u PEERS nice bash scripts/conformance.sh "$(PEERS)"

# With the extra that checks signatures: the demo refuses a catalogue that somebody forged.
demo:
	@$(PYTHON) scripts/environment.py sign $(EXTRAS)
	@sh scripts/debian-packages.sh demo
	@$(V)/python demo/main.py

format: setup-dev
	$(V)/ruff format
	$(V)/ruff check --fix

lock:
	sh scripts/lock.sh

clean:
	rm -rf .venv .venv.lock data site .coverage* .mypy_cache .ruff_cache .pytest_cache .hypothesis

bench: setup-dev
	$(V)/python -m bench run

bench-check: setup-dev
	$(V)/python -m bench check

bench-pulls: setup-dev
	$(V)/python -m bench.pulls

# Each harness for so long; `make setup-dev EXTRAS=fuzz` first makes the search follow coverage.
FUZZ_SECONDS ?= 60
fuzz: setup-dev
	@$(V)/python -m fuzz $(FUZZ_SECONDS)
	@if $(V)/python -c "import atheris" 2>/dev/null; then \
		$(V)/python fuzz/formats/fuzz_inspector.py -max_total_time=$(FUZZ_SECONDS); fi
