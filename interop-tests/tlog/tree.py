"""The tree of RFC 6962, section 2.1, by its definitions; and its tiles (c2sp.org/tlog-tiles)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

WIDTH = 256


def leaf_hash(entry: bytes) -> bytes:
    return hashlib.sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def root_of(leaves: Sequence[bytes]) -> bytes:
    """MTH: level by level, the odd one out moves up, which is the same tree."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    level = list(leaves)
    while len(level) > 1:
        above = [node_hash(level[at], level[at + 1]) for at in range(0, len(level) - 1, 2)]
        level = above + level[len(above) * 2 :]
    return level[0]


def tile_path(level: int | str, index: int, width: int = WIDTH) -> str:
    """`tile/<level>/x001/x234/067[.p/<width>]`."""
    digits = f"{index % 1000:03}"
    while index >= 1000:
        index //= 1000
        digits = f"x{index % 1000:03}/{digits}"
    suffix = "" if width == WIDTH else f".p/{width}"
    return f"tile/{level}/{digits}{suffix}"


def tiles_of(size: int, level: int) -> list[tuple[int, int]]:
    """Index and width of each tile of a level in a tree of this size."""
    count = size // WIDTH**level
    full, rest = divmod(count, WIDTH)
    return [(index, WIDTH) for index in range(full)] + ([(full, rest)] if rest else [])


def levels_of(size: int) -> int:
    """How many levels of tiles such a tree has."""
    level = 0
    while size // WIDTH**level:
        level += 1
    return level


def consistency(old: int, new: int, subtree: Callable[[int, int], bytes]) -> list[bytes]:
    """PROOF(old, D[new]) of section 2.1.2; `subtree(begin, end)` is MTH(D[begin:end])."""

    def proof(old: int, begin: int, end: int, known: bool) -> list[bytes]:
        size = end - begin
        if old == size:
            return [] if known else [subtree(begin, end)]
        split = 1 << ((size - 1).bit_length() - 1)
        if old <= split:
            return proof(old, begin, begin + split, known) + [subtree(begin + split, end)]
        return proof(old - split, begin + split, end, False) + [subtree(begin, begin + split)]

    return proof(old, 0, new, True) if 0 < old < new else []


def is_consistent(old: int, old_root: bytes, new: int, new_root: bytes, path: list[bytes]) -> bool:
    """Section 2.1.4.2 of RFC 9162, word for word."""
    if old == new:
        return not path and old_root == new_root
    if not 0 < old < new:
        return old == 0 and not path and old_root == root_of([])
    if old & (old - 1) == 0:
        path = [old_root, *path]
    if not path:
        return False
    fn, sn = old - 1, new - 1
    while fn & 1:
        fn, sn = fn >> 1, sn >> 1
    fr = sr = path[0]
    for c in path[1:]:
        if sn == 0:
            return False
        if fn & 1 or fn == sn:
            fr, sr = node_hash(c, fr), node_hash(c, sr)
            while fn and not fn & 1:
                fn, sn = fn >> 1, sn >> 1
        else:
            sr = node_hash(sr, c)
        fn, sn = fn >> 1, sn >> 1
    return sn == 0 and fr == old_root and sr == new_root
