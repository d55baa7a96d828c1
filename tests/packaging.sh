#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# packaging.sh: the Debian packages are of the version of the sources, and name each symbol that the library exports,
# with the version that first had it: programs that use one depend on no older library.
set -eu
export LC_ALL=C
cd "$(dirname "$0")/.."

fail() {
        echo "packaging.sh: $*" >&2
        exit 1
}

version=$(sed -n "s/^ *version: '\(.*\)',/\1/p" meson.build)
case $(head -n 1 contrib/debian/changelog) in
"reuseportd ($version-"*) ;;
*) fail "contrib/debian/changelog: its first entry is not of version $version" ;;
esac

# As "SYMBOL@NODE"; a node is a symbol, too.
exported=$(awk '
        /\{$/         { node = $1; print node "@" node }
        /global:/      { global = 1; next }
        /local:|^\}/ { global = 0 }
        global && /;$/ { gsub(/[ \t;]/, ""); print $0 "@" node }
' client-lib/libreuse-client.sym | sort)
listed=$(sed -n 's/^ \([^ ]*@[^ ]*\) .*/\1/p' contrib/debian/libreuse-client0.symbols | sort)
[ -n "$exported" ] || fail 'client-lib/libreuse-client.sym lists no symbol'
[ "$exported" = "$listed" ] ||
        fail "contrib/debian/libreuse-client0.symbols differs from client-lib/libreuse-client.sym:" \
                "$(printf '%s\n%s\n' "$exported" "$listed" | sort | uniq -u | tr '\n' ' ')"
