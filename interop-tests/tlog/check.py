"""One look at a log: everything that it says is fetched and computed again."""

from __future__ import annotations

import json
import pathlib
import time
from dataclasses import dataclass, field

from .fetch import Log
from .note import COSIGNATURE, ED25519, Checkpoint, Note, Verifier, Wrong
from .tree import WIDTH, consistency, is_consistent, leaf_hash, levels_of, root_of, tile_path, tiles_of


@dataclass
class Report:
    """What was found true."""

    origin: str = ""
    size: int = 0
    kept_size: int | None = None
    tiles: int = 0
    cosignatures: dict[str, int] = field(default_factory=dict)


def entries_of(bundle: bytes, count: int, path: str) -> list[bytes]:
    """An entry bundle: 16 bits of length, big-endian, and so many bytes, `count` times."""
    entries, at = [], 0
    while at < len(bundle):
        length = int.from_bytes(bundle[at : at + 2], "big")
        entry = bundle[at + 2 : at + 2 + length]
        if at + 2 > len(bundle) or len(entry) != length:
            raise Wrong(f"{path}: the last entry is cut off")
        entries.append(entry)
        at += 2 + length
    if len(entries) != count:
        raise Wrong(f"{path}: {len(entries)} entries instead of {count}")
    return entries


def check(log: Log, key: str, witnesses: list[str], needed: int, state: pathlib.Path | None) -> Report:
    """Checks everything, or raises Wrong. The new checkpoint is kept only if all of it is right."""
    data = log.checkpoint()
    note = Note.parse(data)
    checkpoint = Checkpoint.parse(note.text)
    verifier = log_key(key, checkpoint.origin)
    if verifier.name != checkpoint.origin:
        raise Wrong(f"the origin is {checkpoint.origin}, the key is of {verifier.name}")
    note.verify(verifier)
    report = Report(checkpoint.origin, checkpoint.size)
    for vkey in witnesses:
        witness = Verifier.parse(vkey)
        if witness.kind != COSIGNATURE:
            raise Wrong(f"not the key of a witness: {vkey}")
        at = note.cosigned(witness)
        if at is not None:
            if at > time.time() + 600:
                raise Wrong(f"{witness.name} cosigned in the future")
            report.cosignatures[witness.name] = at
    if len(report.cosignatures) < needed:
        raise Wrong(f"{len(report.cosignatures)} of {needed} witnesses have cosigned")
    leaves = read_entries(log, checkpoint.size)
    if root_of(leaves) != checkpoint.root:
        raise Wrong(f"the entries do not hash to the root of the checkpoint of size {checkpoint.size}")
    report.tiles = check_tiles(log, checkpoint.size, leaves)
    kept = read_kept(state, verifier)
    if kept is not None:
        report.kept_size = kept.size
        check_growth(log, kept, checkpoint, leaves)
    keep(state, checkpoint.origin, data)
    return report


def log_key(key: str, origin: str) -> Verifier:
    """A verifier key, or 64 hexadecimal digits of a key whose name is the origin."""
    if len(key) == 64 and "+" not in key:
        try:
            return Verifier(origin, ED25519, bytes.fromhex(key))
        except ValueError:
            raise Wrong(f"not a key: {key!r}") from None
    verifier = Verifier.parse(key)
    if verifier.kind != ED25519:
        raise Wrong(f"not the key of a log: {key}")
    return verifier


def read_entries(log: Log, size: int) -> list[bytes]:
    """The leaf hashes of all entries."""
    leaves: list[bytes] = []
    for index, width in tiles_of(size, 0):
        path = tile_path("entries", index, width)
        leaves += [leaf_hash(entry) for entry in entries_of(log.tile(path), width, path)]
    return leaves


def check_tiles(log: Log, size: int, leaves: list[bytes]) -> int:
    """Each tile of each level is what the entries make of it."""
    count, hashes = 0, leaves
    for level in range(levels_of(size)):
        for index, width in tiles_of(size, level):
            path = tile_path(level, index, width)
            expected = hashes[index * WIDTH : index * WIDTH + width]
            if log.tile(path) != b"".join(expected):
                raise Wrong(f"{path}: not what the entries hash to")
            count += 1
        full = len(hashes) // WIDTH
        hashes = [root_of(hashes[at * WIDTH : (at + 1) * WIDTH]) for at in range(full)]
    return count


def subtree_by_tiles(log: Log, size: int):
    """MTH(D[begin:end]) from the tiles alone, as a client computes it that reads no entries."""
    cache: dict[tuple[int, int], list[bytes]] = {}

    def hashes(level: int, index: int) -> list[bytes]:
        if (level, index) not in cache:
            count = size // WIDTH**level
            data = log.tile(tile_path(level, index, min(WIDTH, count - index * WIDTH)))
            cache[level, index] = [data[at : at + 32] for at in range(0, len(data), 32)]
        return cache[level, index]

    def subtree(begin: int, end: int) -> bytes:
        level = 0
        # The highest level of which the range is made of whole hashes.
        while begin % WIDTH ** (level + 1) == 0 and end % WIDTH ** (level + 1) == 0:
            level += 1
        unit = WIDTH**level
        width = (end - begin) // unit
        if width <= WIDTH and begin // unit // WIDTH == (end // unit - 1) // WIDTH:
            first = begin // unit
            tile = hashes(level, first // WIDTH)
            return root_of(tile[first % WIDTH : first % WIDTH + width])
        size = end - begin
        split = 1 << ((size - 1).bit_length() - 1)
        left, right = subtree(begin, begin + split), subtree(begin + split, end)
        return root_of([left, right])

    return subtree


def check_growth(log: Log, kept: Checkpoint, new: Checkpoint, leaves: list[bytes]) -> None:
    """What was kept is the beginning of what there is now: by the entries, and by a proof from the tiles."""
    if new.size < kept.size:
        raise Wrong(f"the log shrank: {kept.size} entries were there, now {new.size}")
    if root_of(leaves[: kept.size]) != kept.root:
        raise Wrong(f"the log forked: its first {kept.size} entries are not those of the kept checkpoint")
    proof = consistency(kept.size, new.size, subtree_by_tiles(log, new.size))
    if not is_consistent(kept.size, kept.root, new.size, new.root, proof):
        raise Wrong("the consistency proof from the tiles does not verify")


def kept_file(state: pathlib.Path, origin: str) -> pathlib.Path:
    return state / (origin.replace("/", "_") + ".json")


def read_kept(state: pathlib.Path | None, verifier: Verifier) -> Checkpoint | None:
    if state is None or not kept_file(state, verifier.name).exists():
        return None
    note = Note.parse(json.loads(kept_file(state, verifier.name).read_text())["note"].encode())
    note.verify(verifier)
    return Checkpoint.parse(note.text)


def keep(state: pathlib.Path | None, origin: str, note: bytes) -> None:
    if state is None:
        return
    state.mkdir(parents=True, exist_ok=True)
    file = kept_file(state, origin)
    unfinished = file.with_suffix(".new")
    unfinished.write_text(json.dumps({"note": note.decode()}))
    unfinished.replace(file)
