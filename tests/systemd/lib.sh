# SPDX-License-Identifier: BSD-2-Clause
# What the tests in the machine share. Sourced: `. /test/lib.sh`.
set -eu

socket=/run/reuseportd/io.reuseportd
config=/etc/reuseportd/reuseportd.conf

# What happened is told when a test fails.
trap 'status=$?; [ $status = 0 ] || journalctl -b --no-pager -o short-monotonic | grep -v audit | tail -n 60' EXIT

fail() {
        echo "failed: $*"
        exit 1
}

# expect WHAT COMMAND...: it succeeds.
expect() {
        what=$1
        shift
        "$@" || fail "$what: $*"
}

# equal WHAT EXPECTED ACTUAL
equal() {
        [ "$2" = "$3" ] || fail "$1: expected \"$2\", it is \"$3\""
}

# await WHAT COMMAND...: until it succeeds.
await() {
        what=$1
        shift
        for _ in $(seq 600); do
                if "$@" >/dev/null 2>&1; then return 0; fi
                sleep 0.05
        done
        fail "$what did not happen: $*"
}

property() {
        systemctl show -P "$2" "$1"
}

# is UNIT PROPERTY VALUE
is() {
        [ "$(property "$1" "$2")" = "$3" ]
}

# value KEY: what the status of the broker says of it, of the next one if there is none now.
value() {
        reusectl --timeout=60 status --plain | sed -n "s/^$1[[:space:]]*//p"
}

# As a package does it, with rules that give everything; nothing is started yet.
set_up() {
        systemd-sysusers
        mkdir -p /etc/reuseportd
        configure
        systemctl daemon-reload
}

# configure [TEXT]: rules that give everything to everybody, and TEXT.
configure() {
        printf '[Rule all]\nUser=*\n%s\n' "${1:-}" >$config
}
