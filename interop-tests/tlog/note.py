"""Signed notes, checkpoints and cosignatures: c2sp.org/signed-note, tlog-checkpoint, tlog-cosignature."""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

ED25519, COSIGNATURE = 0x01, 0x04
NOTE_MAX = 1 << 20


class Wrong(Exception):
    """Something is not as it must be; the text says what."""


def unbase64(text: str) -> bytes:
    """Standard base64 in its one spelling."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise Wrong(f"not base64: {text[:60]!r}") from None
    if base64.b64encode(data).decode() != text:
        raise Wrong(f"base64 with stray bits: {text[:60]!r}")
    return data


def key_id(name: str, kind: int, key: bytes) -> bytes:
    return hashlib.sha256(name.encode() + b"\n" + bytes([kind]) + key).digest()[:4]


@dataclass(frozen=True)
class Verifier:
    """A verifier key: who, which algorithm, 32 bytes."""

    name: str
    kind: int
    key: bytes

    @classmethod
    def parse(cls, vkey: str) -> Verifier:
        """`name+hash+base64(algorithm and key)`, as signed-note writes it."""
        name, plus, rest = vkey.partition("+")
        digits, second, text = rest.partition("+")
        if not (plus and second and name):
            raise Wrong(f"not a verifier key: {vkey!r}")
        data = unbase64(text)
        if len(data) != 33 or data[0] not in (ED25519, COSIGNATURE):
            raise Wrong(f"not an Ed25519 verifier key: {vkey!r}")
        verifier = cls(name, data[0], data[1:])
        if digits != verifier.id.hex():
            raise Wrong(f"the hash in the verifier key of {name} is {digits}, not {verifier.id.hex()}")
        return verifier

    @property
    def id(self) -> bytes:
        return key_id(self.name, self.kind, self.key)

    def __str__(self) -> str:
        text = base64.b64encode(bytes([self.kind]) + self.key).decode()
        return f"{self.name}+{self.id.hex()}+{text}"

    def signed(self, signature: bytes, message: bytes) -> bool:
        try:
            Ed25519PublicKey.from_public_bytes(self.key).verify(signature, message)
        except (InvalidSignature, ValueError):
            return False
        return True


@dataclass(frozen=True)
class Note:
    text: str
    signatures: list[tuple[str, bytes, bytes]]

    @classmethod
    def parse(cls, data: bytes) -> Note:
        if len(data) > NOTE_MAX:
            raise Wrong("the note is too long")
        try:
            note = data.decode("utf-8")
        except UnicodeDecodeError:
            raise Wrong("the note is not UTF-8") from None
        if any(ord(char) < 0x20 and char != "\n" for char in note):
            raise Wrong("the note has a control character")
        at = note.rfind("\n\n")
        if at < 0 or not note.endswith("\n"):
            raise Wrong("the note has no signatures")
        signatures = [cls._signature(line) for line in note[at + 2 : -1].split("\n")]
        return cls(note[: at + 1], signatures)

    @staticmethod
    def _signature(line: str) -> tuple[str, bytes, bytes]:
        parts = line.split(" ")
        if len(parts) != 3 or parts[0] != "\u2014" or not parts[1] or "+" in parts[1]:
            raise Wrong(f"not a signature line: {line[:80]!r}")
        data = unbase64(parts[2])
        if len(data) <= 4:
            raise Wrong("a signature is too short")
        return parts[1], data[:4], data[4:]

    def _by(self, verifier: Verifier) -> list[bytes]:
        return [data for name, known, data in self.signatures if (name, known) == (verifier.name, verifier.id)]

    def verify(self, verifier: Verifier) -> None:
        """A signature by this key must be there, and each that says to be by it must verify."""
        found = self._by(verifier)
        if not found:
            raise Wrong(f"no signature by {verifier}")
        for data in found:
            if len(data) != 64 or not verifier.signed(data, self.text.encode()):
                raise Wrong(f"a signature by {verifier} does not verify")

    def cosigned(self, verifier: Verifier) -> int | None:
        """When this witness cosigned, in Unix seconds; None if it did not."""
        times = []
        for data in self._by(verifier):
            seconds = int.from_bytes(data[:8], "big")
            message = f"cosignature/v1\ntime {seconds}\n{self.text}".encode()
            if len(data) != 72 or seconds >= 1 << 63 or not verifier.signed(data[8:], message):
                raise Wrong(f"a cosignature by {verifier} does not verify")
            times.append(seconds)
        return max(times, default=None)


@dataclass(frozen=True)
class Checkpoint:
    origin: str
    size: int
    root: bytes

    @classmethod
    def parse(cls, text: str) -> Checkpoint:
        lines = text.split("\n")
        if len(lines) < 4 or lines[-1] or not all(lines[:-1]):
            raise Wrong("a checkpoint has at least three lines that are not empty")
        origin, size, root = lines[:3]
        if not size.isascii() or not size.isdigit() or (size[0] == "0" and size != "0"):
            raise Wrong(f"not a tree size: {size!r}")
        decoded = unbase64(root)
        if len(decoded) != 32:
            raise Wrong("the root hash is not of SHA-256")
        return cls(origin, int(size), decoded)
