#!/usr/bin/env python3
"""Which test shows which quality case: the tables at the end of ARCHITECTURE.md, from the names of the tests.

A test is named after its cases (`case_36_…`, `cases_25_and_27_…`) and requirements (`r19_…`). What a case is about, and
what stands behind the dot (why there is no test, or what the tests do not show), is written in the table by hand and kept.

usage: scripts/cases.py [--check]     --check: write nothing, exit 1 if the tables are out of date
"""
import collections
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAGE = ROOT / "ARCHITECTURE.md"
CRATES = ["protocol", "trust", "transport", "client", "node", "testbed", "interop-tests", "fuzz"]
ROW = re.compile(r"^\| (R?\d+)([^|]*)\| ([^|]*) \| (.*) \|$")
DOT = " · "


def tests():
    """Case or requirement -> file -> how many tests name it."""
    found = collections.defaultdict(collections.Counter)
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "--", *CRATES], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    for path in sorted(set(listed)):
        if not path.endswith(".rs") or "/examples/" in path or not (ROOT / path).exists():
            continue
        for name in re.findall(r"\bfn ([a-z0-9_]+)", (ROOT / path).read_text()):
            ids = {f"R{int(n)}" for n in re.findall(r"(?:^|_)r(\d{1,2})(?=_)", name)}
            for run in re.findall(r"(?:^|_)cases?_(\d+(?:_(?:and_)?\d+)*)", name):
                ids |= {str(int(n)) for n in re.findall(r"\d+", run)}
            for one in ids:
                found[one][path.replace("/src/", "/").removesuffix(".rs")] += 1
    return found


def main():
    found = tests()
    lines = []
    for line in PAGE.read_text().splitlines():
        row = ROW.match(line)
        if row and row[4].startswith(("`", "**none**")):
            files = ", ".join(f"`{path}` {count}" for path, count in sorted(found.pop(row[1], {}).items()))
            note = row[4].partition(DOT)[2]
            line = f"| {row[1]}{row[2]}| {row[3]} | {files or '**none**'}{DOT + note if note else ''} |"
            if not files and not note:
                sys.exit(f"{row[1]}: no test and no reason; write the reason behind the dot")
        lines.append(line)
    if found:
        sys.exit(f"no row for: {', '.join(sorted(found))}")
    text = "\n".join(lines) + "\n"
    if text == PAGE.read_text():
        return
    if "--check" in sys.argv:
        sys.exit("ARCHITECTURE.md: the tables of cases are out of date; run scripts/cases.py")
    PAGE.write_text(text)


main()
