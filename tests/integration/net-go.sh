#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# net-go.sh PARITY: random networks and addresses come to the same here as in Go's net (net-go/parity.c), that
# of Go 1.19. What another one has changed is told, and is no failure.
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

version=$(go version)
differ=''
# The same each time; other seeds are for who looks for more.
for seed in ${SEEDS:-1 2 3}; do
        echo "seed $seed, $version"
        "$parity" "$folder/net-go" "$seed" || differ="$differ $seed"
done

case $version in
"go version go1.19"*) [ -z "$differ" ] ;;
*) [ -z "$differ" ] || skip "it is not Go 1.19, and with the seeds$differ it differs" ;;
esac
