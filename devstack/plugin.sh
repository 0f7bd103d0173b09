#!/bin/bash
# What DevStack runs in each phase. Installing, starting and the like happen
# where stack.sh, unstack.sh and clean.sh call Glance's own functions, which
# lib/glance-fetcher defines anew; only Tempest needs more.

case "$1 ${2:-}" in
"stack pre-install")
    fetcher_check_options
    ;;
"stack test-config")
    if is_service_enabled tempest; then
        fetcher_configure_tempest
    fi
    ;;
esac
