#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# docs.sh: the documents agree with the sources, links lead somewhere, and the man pages are clean.
# Exit status 77: all that could be checked is right, but there is no mandoc to check the man pages with.
set -eu
cd "$(dirname "$0")/.."
. tests/complain.sh

texts="README.md NEWS.md CONTRIBUTING.md SECURITY.md docs/*.md"
pages="docs/*.[1-8]"
sentences=$(mktemp)
trap 'rm -f "$sentences"' EXIT

# Targets of [text](target) that are files of this tree, each as its document names it.
for text in $texts; do
        for target in $(grep -o ']([^)]*)' "$text" | sed 's/^](//; s/)$//; s/#.*//' | grep -v '^[a-z]*:' | sort -u); do
                [ -e "$(dirname "$text")/$target" ] || complain "$text: $target is not there"
        done
done

for function in $(grep -o '\breuse_[a-z_]*(' client-lib/reuse-client.h | tr -d '(' | sort -u); do
        grep -q "^\.Fn $function " docs/libreuse-client.3 ||
                complain "docs/libreuse-client.3: $function() is in the header and not here"
done
for function in $(sed -n 's/^\.Fn \(reuse_[a-z_]*\).*/\1/p' docs/libreuse-client.3 | sort -u); do
        grep -q "\b$function(" client-lib/reuse-client.h ||
                complain "docs/libreuse-client.3: $function() is not in the header"
done

for limit in $(sed -n 's/^ *\([A-Z_]*\) = .*/\1/p' proto/limits.h); do
        grep -q "\`$limit\`" docs/protocol.md || complain "docs/protocol.md: $limit is not explained"
done
for error in $(sed -n 's/^error \([A-Za-z]*\).*/\1/p' proto/io.reuseportd.varlink); do
        grep -q "^| \`$error\` |" docs/protocol.md || complain "docs/protocol.md: error $error is not explained"
done
# The fields of Options, each with two blanks before it.
for option in $(sed -n '/^type Options/,/^)/s/^  \([A-Za-z0-9]*\): .*/\1/p' proto/io.reuseportd.varlink); do
        grep -q "^|.*\`$option\`.*|.*|.*|.*|$" docs/protocol.md ||
                complain "docs/protocol.md: option $option is not explained"
done

# Every function and file that the map of the sources names.
for function in $(grep -o '`[a-z_0-9]*()`' docs/architecture.md | tr -d '`()' | sort -u); do
        grep -q "\b$function(" proto/*.[ch] daemon/*.[ch] client-lib/*.[ch] tools/*.[ch] ||
                complain "docs/architecture.md: there is no $function()"
done
for file in $(grep -o '`[a-z-]*/[a-z.-]*\.[ch]`' docs/architecture.md | tr -d '`' | sort -u); do
        [ -e "$file" ] || complain "docs/architecture.md: there is no $file"
done

# Every threat has its row, every test that one names is there, and so is every sentence.
for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15; do
        grep -q "^| T$i | .* | .*[\`:].* |$" docs/security.md || complain "docs/security.md: T$i has no answer"
done
for test in $(grep -o '`[a-z_]*/[A-Za-z0-9_]*`' docs/security.md | tr -d '`' | sort -u); do
        grep -qE "^Test\(${test%/*}, ${test#*/}[,)]|^ParameterizedTest\(.*, ${test%/*}, ${test#*/}[,)]" tests/*/*.c ||
                complain "docs/security.md: there is no test $test"
done
for fuzzer in $(grep -o '`fuzz-[a-z-]*`' docs/security.md | tr -d '`' | sort -u); do
        [ -e "tests/fuzz/$fuzzer.c" ] || complain "docs/security.md: there is no $fuzzer"
done
grep -o 'see SECURITY.md: [^;|]*' docs/security.md | sed 's/^[^:]*: //; s/ *$//' | sort -u >"$sentences"
while read -r sentence; do
        grep -qF "**$sentence" SECURITY.md || complain "docs/security.md: SECURITY.md has no \"$sentence\""
done <"$sentences"

for text in $texts $pages; do
        if grep -nwE 'TO''DO|FIX''ME|XX''X|TB''D' "$text" >&2; then
                complain "$text: is not finished"
        fi
done

if ! command -v mandoc >/dev/null; then
        [ $status = 0 ] || exit $status
        echo "no mandoc: the man pages were not checked" >&2
        exit 77
fi
for page in $pages; do
        mandoc -Tlint -Wwarning "$page" >&2 || complain "$page: see above"
done
exit $status
