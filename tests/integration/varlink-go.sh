#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# varlink-go.sh REUSEPORTD REUSECTL: a broker of its own, asked by a Go program (varlink-go/main.go) that
# knows Varlink from the library of another project.
set -eu

daemon=$(realpath "$1")
tool=$(realpath "$2")
source=$(realpath "$(dirname "$0")")/varlink-go/main.go
library=/usr/share/gocode/src/github.com/varlink/go/varlink

skip() {
        echo "skipped: $1" >&2
        exit 77
}

command -v go >/dev/null || skip "no Go compiler (Debian: golang-go)"
[ -d "$library" ] || skip "no Varlink library for Go (Debian: golang-github-varlink-go-dev)"

folder=$(mktemp -d)
broker='' holder=''
clean() {
        # The holder ends when its input does.
        exec 8>&-
        [ -z "$holder" ] || wait "$holder" || true
        [ -z "$broker" ] || { kill "$broker" && wait "$broker" || true; }
        rm -rf "$folder"
}
trap clean EXIT

export GO111MODULE=off GOPATH=/usr/share/gocode GOCACHE="$folder/cache" GOFLAGS= HOME="$folder"
go build -o "$folder/varlink-go" "$source"

socket=$folder/socket
printf '[Rule all]\nUser=*\n' >"$folder/conf"
"$daemon" --socket "$socket" --config "$folder/conf" 2>"$folder/log" 8>&- &
broker=$!
until "$tool" -q --socket "$socket" status >/dev/null; do
        kill -0 "$broker" 2>/dev/null || { cat "$folder/log" >&2; exit 1; }
done

mkfifo "$folder/in" "$folder/ready"
"$tool" --socket "$socket" run -l tcp:127.0.0.1:0,name=web -- \
        sh -c 'echo; exec cat' <"$folder/in" >"$folder/ready" 8>&- &
holder=$!
exec 8>"$folder/in"
read -r _ <"$folder/ready"

"$folder/varlink-go" "$socket" web >"$folder/out"
cat >"$folder/expected" <<EOF
info reuseportd io.reuseportd org.varlink.service
described io.reuseportd
described org.varlink.service
endpoint web tcp4 group live uid $(id -u)
status connections 1 endpoints 1 leases 1
no method io.reuseportd.Nothing
no interface com.example
no parameter color
io.reuseportd.NoSuchEndpoint {"endpoint":"none"}
EOF
diff -u "$folder/expected" "$folder/out"
