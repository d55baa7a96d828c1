#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Writes proto/interface.c: the interface files given, each as a string under its name."""

import json
import pathlib
import sys

print('/* Made from the interface files by embed-interfaces.py. */')
print('#include "proto/interface.h"\n#include <string.h>\n')
print('const char *interface_description(const char *name) {')
for path in map(pathlib.Path, sys.argv[1:]):
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    text = "\n".join("                " + json.dumps(line) for line in lines)
    print(f'        if (strcmp(name, {json.dumps(path.stem)}) == 0)\n                return\n{text};')
print('        return NULL;\n}')
