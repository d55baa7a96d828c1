#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# symbols.sh SO SYM: the library exports what the version script lists, each under its version, and
# nothing else.

set -eu

so=$1
sym=$2

# "name@@VERSION" per line. A library without a version node would show plain names, and differ.
exported=$(nm -D --defined-only "$so" | awk '$2 != "A" { print $3 }' | LC_ALL=C sort)
listed=$(awk '
        /\{$/    { version = $1 }
        /global:/ { global = 1; next }
        /local:|^\}/ { global = 0 }
        global && /;$/ { gsub(/[ \t;]/, ""); print $0 "@@" version }
' "$sym" | LC_ALL=C sort)

if [ -z "$listed" ]; then
        echo "$sym lists no symbol" >&2
        exit 1
fi
if [ "$exported" != "$listed" ]; then
        echo "exported by $so:" >&2
        echo "$exported" >&2
        echo "listed in $sym:" >&2
        echo "$listed" >&2
        exit 1
fi
