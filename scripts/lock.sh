#!/bin/sh
# Make both lock files anew from pyproject.toml: pinned, hashed, without any download address.
set -eu
cd "$(dirname "$0")/.."
python3 -m venv .venv-lock
.venv-lock/bin/pip --quiet install uv
compile() {
    out=$1
    shift
    .venv-lock/bin/uv --quiet pip compile pyproject.toml "$@" --universal --python-version 3.11 \
        --generate-hashes --no-annotate --no-header --no-emit-index-url --no-emit-find-links --output-file "$out"
}
compile requirements.lock --group build
compile requirements-dev.lock --group build --group dev
rm -r .venv-lock
