#!/bin/bash
# Run what DevStack runs for its image service, with DevStack's own functions,
# in the order of its own scripts. Usage: phases.sh stack|restart|unstack|clean
# in a copy of DevStack's files. Everything else of DevStack is left out.
set -o errexit

TOP_DIR=$PWD
FILES=$TOP_DIR/files
script=$1
if [[ $script == restart ]]; then
    script=stack
fi

# Print the outermost block of a script of DevStack that holds some words.
function block {
    awk -v words="$2" '
        /^(if|for) / { inside = 1; text = "" }
        inside { text = text $0 "\n" }
        /^(fi|done)/ { if (inside && index(text, words)) print text; inside = 0 }
    ' "$TOP_DIR/$1"
}

# Run such a block; none is a failure: DevStack has changed.
function run_block {
    local text
    text=$(block "$1" "$2")
    [[ -n $text ]] || { echo "no $2 in DevStack's $1" >&2; exit 3; }
    eval "$text"
}

source "$TOP_DIR/stackrc"
source "$TOP_DIR/lib/database"
source "$TOP_DIR/lib/stack"
# stack.sh sets these between reading the libraries and installing.
DATABASE_BACKENDS=mysql
SERVICE_TIMEOUT=120
SERVICE_PROTOCOL=http
PYTHON=$(command -v python3)

# As /etc/systemd/system is on every machine.
mkdir -p "$SYSTEMD_DIR"
fetch_plugins
run_phase override_defaults
for lib in $(sed -n 's,^source $TOP_DIR/lib/,,p' "$TOP_DIR/stack.sh" | grep -xE 'apache|tls|keystone|glance'); do
    source "$TOP_DIR/lib/$lib"
done
before=$(declare -f start_glance)
run_phase source
[[ $before != "$(declare -f start_glance)" ]] || { echo "start_glance is still Glance's" >&2; exit 3; }
KEYSTONE_SERVICE_URI=${TEST_KEYSTONE_URI%/v3}

case $1 in
stack)
    TEMPEST_CONFIG=$TOP_DIR/tempest.conf
    OS_BRICK_LOCK_PATH=$DATA_DIR/os_brick
    run_phase stack pre-install
    run_block stack.sh configure_glance
    # What lib/cinder writes into Glance's files.
    iniset "$GLANCE_API_CONF" os_brick lock_path "$OS_BRICK_LOCK_PATH"
    iniset "$GLANCE_CACHE_CONF" os_brick lock_path "$OS_BRICK_LOCK_PATH"
    run_phase stack install
    async_init
    async_runfunc create_glance_accounts
    async_wait create_glance_accounts
    run_block stack.sh init_glance
    async_wait init_glance
    run_phase stack post-config
    merge_config_group "$TOP_DIR/local.conf" post-config
    run_block stack.sh start_glance
    run_block stack.sh upload_image
    run_phase stack extra
    run_phase stack test-config
    ;;
restart)
    $SYSTEMCTL restart devstack@g-api
    wait_for_service "$SERVICE_TIMEOUT" "$GLANCE_URL/healthz"
    ;;
unstack)
    run_phase unstack
    run_block unstack.sh stop_glance
    # The last lines of unstack.sh.
    rm -Rf "$DEST/async"
    ;;
clean)
    run_phase clean
    cleanup_glance
    # The rest of clean.sh that concerns the image service.
    sudo rm -rf "$GLANCE_CONF_DIR"
    sudo find "$SYSTEMD_DIR" -type f -name '*devstack@*service' -delete
    ;;
esac
