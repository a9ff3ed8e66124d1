"""Loads a Pli directory with python-tuf's client, which shares no code with ours (TRU-1.1).

    ngclient.py <metadata URL> <targets URL> <root.json> <target path>...

Verifies from the given root on, downloads each target, delegated ones too, and prints one line of
JSON: {"path": sha256, ...}. A target that the client does not find is an error; its path after a
"!" must not be found.
"""

import hashlib
import json
import sys
import tempfile
from pathlib import Path

from tuf.ngclient import Updater


def main() -> int:
    metadata_url, targets_url, root, *paths = sys.argv[1:]
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        metadata = Path(folder, "metadata")
        targets = Path(folder, "targets")
        metadata.mkdir()
        targets.mkdir()
        updater = Updater(
            str(metadata),
            metadata_url,
            str(targets),
            targets_url,
            bootstrap=Path(root).read_bytes(),
        )
        updater.refresh()
        for path in paths:
            absent = path.startswith("!")
            info = updater.get_targetinfo(path.removeprefix("!"))
            if absent != (info is None):
                print(f"{path}: {'found' if info else 'not found'}", file=sys.stderr)
                return 1
            if info is not None:
                file = Path(updater.download_target(info))
                found[path] = hashlib.sha256(file.read_bytes()).hexdigest()
    print(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
