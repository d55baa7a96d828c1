#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# examples.sh: each program of contrib/examples is run by a test: one that names it by HELLO_PATH, or, of a script,
# HELLO_PY_PATH.
set -eu
cd "$(dirname "$0")/.."

status=0
for file in contrib/examples/*; do
        name=${file##*/}
        case $name in
        meson.build) continue ;;
        *.c) name=${name%.c} ;;
        esac
        macro=$(printf %s "$name" | tr a-z.- A-Z__)_PATH
        if ! grep -qE "[^A-Z_]$macro\b" tests/integration/test-*.c; then
                echo "$file is run by no test: none has $macro in it" >&2
                status=1
        fi
done
exit $status
