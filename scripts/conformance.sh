#!/bin/bash
# conformance.sh PEERS: real Keystone, real Tempest and the real clients against this checkout's service.
#
# PEERS is the folder with the scripts that install and drive them (setup.sh, keystone_up.sh, run_tempest.sh,
# clients_smoke.sh and a baseline of the reference); they are no part of this project. Everything listens on
# loopback only. Takes some five minutes the first time, three afterwards.
#   CONFORMANCE_PORT  where the service listens (27990)
#   KEEP=1            leave Keystone running for the next time
set -euo pipefail
peers=$(cd "${1:-}" 2>/dev/null && pwd) || peers=
if [ -z "$peers" ] || [ ! -e "$peers/run_tempest.sh" ]; then
    echo "The scripts of the real clients are not at '${1:-}': give their folder, make conformance PEERS=FOLDER." >&2
    echo "Without them, tests/api/image_v2 makes the same calls." >&2
    exit 2
fi
here=$(cd "$(dirname "$0")/.." && pwd)
port=${CONFORMANCE_PORT:-27990}
url=http://127.0.0.1:$port
work=$(mktemp -d)
server=
. "$peers/env.sh" # Where those scripts have their Keystone, their origin and their virtual environments.

finish() {
    [ -z "$server" ] || kill "$server" 2>/dev/null || true
    [ -z "$server" ] || wait "$server" 2>/dev/null || true
    [ "${KEEP:-0}" = 1 ] || bash "$peers/down.sh" >/dev/null 2>&1 || true
    rm -rf "$work"
}
trap finish EXIT
trap 'exit 130' INT TERM

configure() { # configure ENFORCE: write the operator's file
    cat >"$work/config.toml" <<TOML
[server]
listen = "127.0.0.1:$port"
[auth]
mode = "keystone"
[keystone]
auth_url = "$KS_URL"
username = "glance"
password = "$GLANCE_PASSWORD"
[store]
folder = "data"
[address]
allow = [{ cidr = "127.0.0.1/32", ports = [$ORIGIN_PORT, $REC_PORT] }]
[format]
enforce_on_upload = $1
container_formats = ["bare", "ova", "ovf", "ami", "ari", "aki", "compressed"]
[image_api]
# Itself, by another port: the one that it listens on is never pulled from.
remotes = [{ region = "RegionOne", url = "http://127.0.0.1:$REC_PORT" }]
TOML
}

if [ ! -x "$PEERS/tempest/bin/tempest" ]; then
    echo "Installing Keystone, Tempest and the clients ..."
    bash "$peers/setup.sh"
fi
echo "Starting Keystone ..."
bash "$peers/keystone_up.sh" "$url" >"$work/keystone.log" 2>&1 || { cat "$work/keystone.log" >&2; exit 1; }

configure false # Tempest's lists are of random bytes under every disk format.
"$here/.venv/bin/python" "$here/server.py" --config "$work/config.toml" >"$work/server.log" 2>&1 &
server=$!
tries=0
until curl -s -o /dev/null "$url/healthz"; do
    tries=$((tries + 1))
    if [ $tries -gt 1200 ] || ! kill -0 "$server" 2>/dev/null; then cat "$work/server.log" >&2; exit 1; fi
    sleep 0.1
done

export RECORD=0
bash "$peers/recorder_up.sh" "$url" "$work/requests.jsonl" >/dev/null
echo "The interoperability guideline ..."
LIST=$peers/interop_required.list FORMATS_ENFORCED=False OUT=$work/interop \
    bash "$peers/run_tempest.sh" "$url" >"$work/interop.log" 2>&1 || true
echo "Tempest ..."
FORMATS_ENFORCED=False OUT=$work/tempest \
    bash "$peers/run_tempest.sh" "$url" '^tempest\.api\.image\.' >"$work/tempest.log" 2>&1 || true
configure true # As it ships.
kill -HUP "$server"
echo "The clients ..."
OUT=$work/smoke bash "$peers/clients_smoke.sh" "$url" >"$work/smoke.log" 2>&1 || true
echo "A real Glance, imported for and adopted from ..."
real_glance() { # In a shell of its own: it takes the variables of a member.
    [ -x "$PEERS/glance2/bin/gunicorn" ] || return 1
    bash "$peers/glance_up.sh" plain
    eval "$(osenv alice)"
    OS_TOKEN=$("$PEERS/clients/bin/openstack" token issue -f value -c id)
    export OS_TOKEN
    cd "$here"
    .venv/bin/python -m pytest -n 0 -rA tests/importer/send/test_real_glance.py tests/adopt/test_real_glance.py \
        tests/api/test_limits_real_keystone.py
}
(real_glance) >"$work/glance.log" 2>&1 || true
"$here/.venv/bin/python" "$here/scripts/conformance_report.py" "$work" "$peers"
