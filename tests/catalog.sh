#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# catalog.sh: the catalog of the journal has a text for every id of the audit and for no other, with fields
# that the audit knows, and journalctl takes it.
set -eu
cd "$(dirname "$0")/.."
. tests/complain.sh

catalog=contrib/catalog/reuseportd.catalog

in_header=$(sed -n 's/.*SD_ID128_MAKE_STR(\([^)]*\)).*/\1/p' daemon/audit-kind.h | tr -d ', ' | sort)
in_catalog=$(sed -n 's/^-- \([0-9a-f]*\)$/\1/p' "$catalog" | sort)
[ -n "$in_header" ] || complain "daemon/audit-kind.h: no ids were found"
[ "$in_header" = "$in_catalog" ] || complain "$catalog: other ids than in daemon/audit-kind.h: $in_catalog"
for id in $in_header; do
        grep -q "$id" docs/reuseportd.8 || complain "docs/reuseportd.8: $id is not explained"
done
for field in $(grep -o '@[A-Z_]*@' "$catalog" | tr -d @ | sort -u); do
        grep -q "\"$field\"" daemon/audit.c || complain "$catalog: there is no field $field"
done
for field in $(grep -o '"REUSEPORTD_[A-Z]*"' daemon/audit.c | tr -d '"' | sort -u); do
        grep -q "$field" docs/reuseportd.8 || complain "docs/reuseportd.8: $field is not explained"
done

if ! command -v journalctl >/dev/null; then
        [ $status = 0 ] || exit $status
        echo 'skipped: no journalctl to take the catalog' >&2
        exit 77
fi
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
mkdir -p "$root/usr/lib/systemd/catalog" "$root/var/lib/systemd/catalog"
cp "$catalog" "$root/usr/lib/systemd/catalog"
said=$(journalctl --root="$root" --update-catalog 2>&1) || complain "journalctl does not take it: $said"
[ -z "$said" ] || complain "journalctl says: $said"
taken=$(journalctl --root="$root" --list-catalog | cut -d ' ' -f 1 | sort)
[ "$taken" = "$in_header" ] || complain "journalctl took others than there are: $taken"
exit $status
