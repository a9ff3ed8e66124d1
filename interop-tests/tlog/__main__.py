"""python3 -m tlog check --url PREFIX --key KEY [--witness KEY …] [--witnesses N] [--state FOLDER] [--json]"""

from __future__ import annotations

import argparse
import dataclasses
import json
import pathlib
import sys

from .check import check
from .fetch import Log
from .note import Wrong


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="tlog", description="Checks a transparency log by the texts of C2SP.")
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("check", help="fetch everything and compute it again; exit 0 if all is right, else 1")
    one.add_argument("--url", required=True, help="the prefix of the log, under which checkpoint and tile/ are")
    one.add_argument("--key", required=True, help="the log's verifier key, or its 32 bytes in hexadecimal")
    one.add_argument("--witness", action="append", default=[], help="the verifier key of a witness (0x04)")
    one.add_argument("--witnesses", type=int, default=0, help="how many of them must have cosigned")
    one.add_argument("--state", type=pathlib.Path, help="a folder: what was seen the last time must still be there")
    one.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args(arguments)
    try:
        report = check(Log(options.url), options.key, options.witness, options.witnesses, options.state)
    except Wrong as wrong:
        if options.json:
            print(json.dumps({"ok": False, "wrong": str(wrong)}))
        print(f"tlog: {wrong}", file=sys.stderr)
        return 1
    if options.json:
        print(json.dumps({"ok": True, **dataclasses.asdict(report)}))
        return 0
    since = "" if report.kept_size is None else f", consistent with the {report.kept_size} of the last time"
    print(f"{report.origin}: {report.size} entries in {report.tiles} tiles{since}; "
          f"cosigned by {', '.join(sorted(report.cosignatures)) or 'nobody that was named'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
