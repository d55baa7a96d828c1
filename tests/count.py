#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""count.py TESTLOG: adds up the single tests of a run; a test program without a summary counts as one."""

import json
import re
import sys

SUMMARY = re.compile(r"Synthesis: Tested: \D*(\d+)\D.*?Passing: \D*(\d+)\D.*?Failing: \D*(\d+)\D.*?Crashing: \D*(\d+)")
COLOUR = re.compile(r"\x1b\[[0-9;]*m")

passed = failed = skipped = 0
with open(sys.argv[1], encoding="utf-8") as log:
    for line in log:
        test = json.loads(line)
        text = COLOUR.sub("", test.get("stdout", "") + test.get("stderr", ""))
        skipped += text.count("[SKIP]")
        summary = SUMMARY.search(text)
        if summary:
            passed += int(summary[2])
            failed += int(summary[3]) + int(summary[4])
            failed += test["result"] in ("FAIL", "ERROR", "TIMEOUT") and summary[3] == summary[4] == "0"
        elif test["result"] == "SKIP":
            skipped += 1
        elif test["result"] == "OK":
            passed += 1
        else:
            failed += 1
print(f"{passed} passed, {failed} failed, {skipped} skipped")
