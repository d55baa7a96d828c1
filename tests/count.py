#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""count.py TESTLOG: adds up the single tests of a run; a test program without a summary counts as one.
What failed is named once more before the sum, each line as "failed: ..."."""

import json
import re
import sys

SUMMARY = re.compile(r"Synthesis: Tested: \D*(\d+)\D.*?Passing: \D*(\d+)\D.*?Failing: \D*(\d+)\D.*?Crashing: \D*(\d+)")
COLOUR = re.compile(r"\x1b\[[0-9;]*m")
# Criterion's lines about tests that did not pass, and what the sanitizers say.
TELLING = re.compile(r"\[(----|FAIL|CRASH|ERR|TIMEOUT)\s*\]|ERROR: |runtime error: ")
# Of a test program without such lines.
LAST_LINES = 20


def tell(test, text):
    lines = text.splitlines()
    telling = [line for line in lines if TELLING.search(line) and "Criterion v" not in line] or lines[-LAST_LINES:]
    print(f"failed: {test['name']}: {test['result']}, {test['returncode']}, after {test['duration']:.0f} s")
    for line in telling:
        print(f"failed:   {line}")


passed = failed = skipped = 0
with open(sys.argv[1], encoding="utf-8") as log:
    for line in log:
        test = json.loads(line)
        text = COLOUR.sub("", test.get("stdout", "") + test.get("stderr", ""))
        skipped += text.count("[SKIP]")
        summary = SUMMARY.search(text)
        broken = test["result"] in ("FAIL", "ERROR", "TIMEOUT")
        if broken:
            tell(test, text)
        if summary:
            passed += int(summary[2])
            failed += int(summary[3]) + int(summary[4])
            failed += broken and summary[3] == summary[4] == "0"
        elif test["result"] == "SKIP":
            skipped += 1
        elif test["result"] == "OK":
            passed += 1
        else:
            failed += 1
print(f"{passed} passed, {failed} failed, {skipped} skipped")
