#!/bin/sh
# Make every lock anew from pyproject.toml: pinned, hashed, complete, without any download address.
#
# What is pinned stays as it is where it still fits; `make lock UPGRADE=1` takes the newest releases instead. The tool
# is pinned in requirements-uv.lock, and renewed there for the next time.
# Every extra of the product gets a lock of what it adds to requirements.lock; requirements-dev.lock has everything.
set -eu
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
python=${PYTHON:-python3}
"$python" -m venv "$work/venv"
"$work/venv/bin/pip" --quiet --disable-pip-version-check install --no-deps --require-hashes --only-binary :all: \
    --requirement requirements-uv.lock

compile() { # compile LOCK ARGUMENT...
    out=$1
    shift
    if [ -e "$out" ]; then cp "$out" "$work/$out"; fi # What is pinned there is preferred.
    # shellcheck disable=SC2086
    "$work/venv/bin/uv" --quiet pip compile --universal --python-version 3.11 --generate-hashes --no-annotate \
        --no-header --no-emit-index-url --no-emit-find-links ${UPGRADE:+--upgrade} "$@" --output-file "$work/$out"
}

extras=$("$python" -c '
import tomllib
print(*sorted(tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"]))')
compile requirements-dev.lock pyproject.toml --all-extras --group build --group dev
same="--constraint $work/requirements-dev.lock" # One release of each package, whatever is installed.
# shellcheck disable=SC2086
compile requirements.lock pyproject.toml --group build $same
# shellcheck disable=SC2086
compile requirements-build.lock --group build $same
for extra in $extras; do
    # shellcheck disable=SC2086
    compile "requirements-$extra.lock" pyproject.toml --extra "$extra" $same
    "$python" scripts/lock_surplus.py "$work/requirements-$extra.lock" "$work/requirements.lock"
done
# shellcheck disable=SC2086
compile requirements-fuzz.lock --group fuzz $same
"$python" scripts/lock_surplus.py "$work/requirements-fuzz.lock" "$work/requirements.lock"
printf 'uv\n' >"$work/uv.in"
compile requirements-uv.lock "$work/uv.in"
for lock in "$work"/requirements*.lock; do # All or none.
    cp "$lock" .
done
