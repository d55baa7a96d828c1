#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# net-go.sh PARITY: random networks and addresses are judged here as Go's net judges them (net-go/parity.c).
set -eu

parity=$(realpath "$1")
source=$(realpath "$(dirname "$0")")/net-go/main.go

skip() {
        echo "skipped: $1" >&2
        exit 77
}

command -v go >/dev/null || skip "no Go compiler (Debian: golang-go)"

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export GO111MODULE=off GOCACHE="$folder/cache" GOFLAGS= HOME="$folder"
go build -o "$folder/net-go" "$source"

# The same each time; other seeds are for who looks for more.
for seed in ${SEEDS:-1 2 3}; do
        echo "seed $seed"
        "$parity" "$folder/net-go" "$seed"
done
