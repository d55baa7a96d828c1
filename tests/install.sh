#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# install.sh BUILD: installs into a folder of its own, and builds programs against what is there, in C and
# in C++, with nothing but what pkg-config says.
set -eu

build=$(realpath "$1")

command -v pkg-config >/dev/null || { echo 'skipped: no pkg-config' >&2; exit 77; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
root=$folder/root

DESTDIR=$root meson install -C "$build" --no-rebuild --quiet

fail() {
        echo "install.sh: $1" >&2
        exit 1
}

# The one file whose path ends so.
one() {
        found=$(find "$root" ! -type d -path "*/$1")
        [ -n "$found" ] && [ "$(echo "$found" | wc -l)" = 1 ] || fail "$1: installed once expected, found: $found"
        echo "$found"
}

libdir=$(dirname "$(one libreuse-client.so)")
[ -x "$(one 'sbin/reuseportd')" ] || fail 'the broker cannot be executed'
[ -x "$(one bin/reusectl)" ] || fail 'reusectl cannot be executed'
[ -f "$(one lib/systemd/catalog/reuseportd.catalog)" ] || fail 'no catalog'
# Where systemd is: what the units execute is what was installed.
if [ -n "$(find "$root" -name reuseportd.service)" ]; then
        for unit in system user; do
                service=$(one systemd/$unit/reuseportd.service)
                [ -f "$(one systemd/$unit/reuseportd.socket)" ] || fail "no socket unit: $unit"
                for program in $(sed -n 's/^Exec[A-Za-z]*=\(\/[^ ]*\).*/\1/p' "$service" | sort -u); do
                        [ -x "$root$program" ] || fail "$service executes $program, which is not installed"
                done
        done
        [ -f "$(one sysusers.d/reuseportd.conf)" ] || fail 'no users'
fi
[ -f "$(one reuse-client.h)" ] || fail 'no header'
# Of the library only: nobody else's header or archive belongs there.
[ "$(find "$root" -name '*.h' | wc -l)" = 1 ] || fail 'headers that are not public were installed'
[ -z "$(find "$root" -name '*.a')" ] || fail 'archives that are not public were installed'
LD_LIBRARY_PATH=$libdir "$(one bin/reusectl)" --version >/dev/null

# What the pkg-config file needs of others is on this machine, the library itself is below the root.
here=$(pkg-config --variable=pc_path pkg-config)
PKG_CONFIG_LIBDIR=$(dirname "$(one libreuse-client.pc)")
PKG_CONFIG_LIBDIR=$PKG_CONFIG_LIBDIR:$here
PKG_CONFIG_SYSROOT_DIR=$root
export PKG_CONFIG_LIBDIR PKG_CONFIG_SYSROOT_DIR

flags=$(pkg-config --cflags --libs libreuse-client)
version=$(pkg-config --modversion libreuse-client)
case $flags in
*jansson*) fail "a program would be linked with jansson: $flags" ;;
esac

cat >"$folder/program.c" <<'EOF'
#include <reuse-client.h>
#include <stdio.h>

int main(void) {
        reuse_request *request = NULL;
        int r = reuse_request_new(&request);

        reuse_request_free(request);
        puts(reuse_version());
        return r;
}
EOF
cp "$folder/program.c" "$folder/program.cc"

build_and_run() {
        # The flags are words: not quoted.
        # shellcheck disable=SC2086
        "$1" -Wall -Wextra -Werror -pedantic -o "$folder/program" "$2" $flags ${SANITIZE:-}
        said=$(LD_LIBRARY_PATH=$libdir "$folder/program")
        [ "$said" = "$version" ] || fail "$1: reuse_version() is $said, pkg-config says $version"
}

# A library that was built with a sanitizer wants a program that was.
if nm -D "$libdir/libreuse-client.so" | grep -q __asan_init; then
        SANITIZE='-fsanitize=address,undefined'
fi
# Both of one maker, as their sanitizers are.
cc=${CC:-cc}
case $cc in
clang*) cxx=${CXX:-clang++} ;;
*) cxx=${CXX:-c++} ;;
esac
command -v "$cc" >/dev/null || { echo 'skipped: no C compiler' >&2; exit 77; }
build_and_run "$cc" "$folder/program.c"
if command -v "$cxx" >/dev/null; then
        build_and_run "$cxx" "$folder/program.cc"
fi
