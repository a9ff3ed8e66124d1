"""The checker against small logs that are made here, whole and damaged. Run: python3 -m unittest discover -s interop-tests -t interop-tests"""

from __future__ import annotations

import base64
import contextlib
import io
import pathlib
import random
import tempfile
import threading
import unittest
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tlog.__main__ import main
from tlog.note import COSIGNATURE, ED25519, Note, Verifier, Wrong
from tlog.tree import WIDTH, consistency, is_consistent, leaf_hash, levels_of, node_hash, root_of, tile_path, tiles_of

ORIGIN = "interieur.example/log/1790000000000"
WITNESS = "social.example/witness"


def key(seed: int) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32)


def verifier(name: str, kind: int, seed: int) -> Verifier:
    return Verifier(name, kind, key(seed).public_key().public_bytes_raw())


LOG_KEY = str(verifier(ORIGIN, ED25519, 1))
WITNESS_KEY = str(verifier(WITNESS, COSIGNATURE, 2))


def line(verifier: Verifier, signature: bytes) -> str:
    return f"\u2014 {verifier.name} {base64.b64encode(verifier.id + signature).decode()}\n"


def resources(entries: list[bytes], seed: int = 1, cosigned_at: int | None = None) -> dict[str, bytes]:
    """All that a log of these entries serves."""
    hashes = leaves = [leaf_hash(entry) for entry in entries]
    size = len(entries)
    text = f"{ORIGIN}\n{size}\n{base64.b64encode(root_of(leaves)).decode()}\n"
    note = text + "\n" + line(verifier(ORIGIN, ED25519, seed), key(seed).sign(text.encode()))
    if cosigned_at is not None:
        signature = key(2).sign(f"cosignature/v1\ntime {cosigned_at}\n{text}".encode())
        note += line(verifier(WITNESS, COSIGNATURE, 2), cosigned_at.to_bytes(8, "big") + signature)
    served = {"checkpoint": note.encode()}
    for index, width in tiles_of(size, 0):
        some = entries[index * WIDTH : index * WIDTH + width]
        served[tile_path("entries", index, width)] = b"".join(len(one).to_bytes(2, "big") + one for one in some)
    for level in range(levels_of(size)):
        for index, width in tiles_of(size, level):
            served[tile_path(level, index, width)] = b"".join(hashes[index * WIDTH : index * WIDTH + width])
        hashes = [root_of(hashes[at : at + WIDTH]) for at in range(0, len(hashes) // WIDTH * WIDTH, WIDTH)]
    return served


@contextlib.contextmanager
def serving(served: dict[str, bytes]):
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = served.get(self.path.removeprefix("/log/"))
            self.send_response(200 if body is not None else 404)
            text = self.path.endswith("checkpoint")
            self.send_header("Content-Type", "text/plain; charset=utf-8" if text else "application/octet-stream")
            self.end_headers()
            self.wfile.write(body or b"")

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/log"
    finally:
        server.shutdown()
        server.server_close()


def run(served: dict[str, bytes], *more: str, key: str = LOG_KEY) -> tuple[int, str]:
    said = io.StringIO()
    with serving(served) as url, contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        code = main(["check", "--url", url, "--key", key, *more])
    return code, said.getvalue()


def entries(count: int, tag: str = "entry") -> list[bytes]:
    return [f"{tag} {number}".encode() for number in range(count)]


class Whole(unittest.TestCase):
    def test_logs_of_all_kinds_of_size_are_right(self) -> None:
        for size in [0, 1, 2, 3, 255, 256, 257, 600]:
            code, said = run(resources(entries(size)))
            self.assertEqual(code, 0, f"{size}: {said}")

    def test_a_tree_of_70000_has_the_tiles_that_the_text_says(self) -> None:
        self.assertEqual(len(tiles_of(70_000, 0)), 274)
        self.assertEqual(tiles_of(70_000, 0)[-1], (273, 112))
        self.assertEqual(tiles_of(70_000, 1), [(0, 256), (1, 17)])
        self.assertEqual(tiles_of(70_000, 2), [(0, 1)])
        self.assertEqual(tiles_of(256, 1), [(0, 1)])
        self.assertEqual(tile_path(0, 1_234_067), "tile/0/x001/x234/067")
        self.assertEqual(tile_path("entries", 0, 9), "tile/entries/000.p/9")

    def test_a_log_that_grew_is_consistent_with_what_was_kept(self) -> None:
        with tempfile.TemporaryDirectory() as state:
            for size in [1, 5, 256, 300, 513, 513, 700]:
                code, said = run(resources(entries(size)), "--state", state)
                self.assertEqual(code, 0, f"{size}: {said}")
            self.assertIn("consistent with the 513", said)

    def test_witnesses_are_counted(self) -> None:
        witness = ["--witness", WITNESS_KEY, "--witnesses", "1"]
        code, said = run(resources(entries(3), cosigned_at=1_700_000_000), *witness)
        self.assertEqual((code, WITNESS in said), (0, True))
        code, said = run(resources(entries(3)), *witness)
        self.assertEqual((code, "0 of 1" in said), (1, True))
        code, said = run(resources(entries(3), cosigned_at=32_503_680_000), *witness)
        self.assertEqual((code, "future" in said), (1, True))


class Broken(unittest.TestCase):
    def wrong(self, served: dict[str, bytes], because: str, *more: str, key: str = LOG_KEY) -> None:
        code, said = run(served, *more, key=key)
        self.assertEqual(code, 1, said)
        self.assertIn(because, said)

    def test_a_byte_anywhere_is_noticed(self) -> None:
        served = resources(entries(300), cosigned_at=1_700_000_000)
        chance = random.Random(20)
        for path, data in served.items():
            for at in {0, len(data) - 1, *(chance.randrange(len(data)) for _ in range(12))}:
                bad = bytearray(data)
                bad[at] ^= 1 << chance.randrange(8)
                code, said = run({**served, path: bytes(bad)}, "--witness", WITNESS_KEY, "--witnesses", "1")
                self.assertEqual(code, 1, f"{path}, byte {at}: {said}")

    def test_a_resource_that_is_missing_is_noticed(self) -> None:
        served = resources(entries(300))
        for path in served:
            self.wrong({known: data for known, data in served.items() if known != path}, path)

    def test_a_fork_and_a_shrunk_log_are_noticed_and_not_kept(self) -> None:
        with tempfile.TemporaryDirectory() as state:
            kept = lambda: [file.read_text() for file in pathlib.Path(state).iterdir()]
            self.assertEqual(run(resources(entries(300)), "--state", state)[0], 0)
            before = kept()
            self.wrong(resources(entries(299)), "shrank", "--state", state)
            self.wrong(resources(entries(300, "other")), "forked", "--state", state)
            self.wrong(resources(entries(400, "other")), "forked", "--state", state)
            self.assertEqual(kept(), before)
            self.assertEqual(run(resources(entries(301)), "--state", state)[0], 0)

    def test_another_key_is_not_the_log_s(self) -> None:
        self.wrong(resources(entries(3), seed=9), "no signature")
        self.wrong(resources(entries(3)), "the key is of", key=str(verifier("other.example", ED25519, 1)))
        self.wrong(resources(entries(3)), "not the key of a log", key=str(verifier(ORIGIN, COSIGNATURE, 1)))


class Texts(unittest.TestCase):
    """Examples that stand in the texts of C2SP."""

    NOTE = (
        "Ognuno sta solo sul cuor della terra\ntrafitto da un raggio di sole:\n\ned è subito sera.\n\n"
        "\u2014 quasimodo.example/salvatore NnugSzTjtVAewIS+Z/iJhUPeFDkO/5QQ2i5ddnGITLlC+EhfLW9oJKONrMouFSQU0xMcXxj99ihAQwaqP3ZekRwNtIc=\n"
    )

    def test_the_note_of_the_text_is_read(self) -> None:
        note = Note.parse(self.NOTE.encode())
        self.assertTrue(note.text.endswith("subito sera.\n"))
        name, hash_of_key, signature = note.signatures[0]
        self.assertEqual((name, hash_of_key.hex(), len(signature)), ("quasimodo.example/salvatore", "367ba04b", 64))

    def test_a_note_that_another_program_signed_verifies(self) -> None:
        # The example of golang.org/x/mod/sumdb/note, whose format signed-note describes.
        text = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
        line = "\u2014 PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
        key = Verifier.parse("PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW")
        Note.parse(f"{text}\n{line}".encode()).verify(key)
        with self.assertRaises(Wrong):
            Note.parse(f"{text[1:]}\n{line}".encode()).verify(key)

    def test_what_is_no_note_is_refused(self) -> None:
        good = self.NOTE
        for bad in ["", good[:-1], good.replace("\n", "\r\n"), good.replace("\u2014", "-"), good + "\n", good.replace("NnugS", "Nnug S")]:
            with self.assertRaises(Wrong):
                Note.parse(bad.encode())

    def test_every_size_is_the_beginning_of_every_later_one(self) -> None:
        leaves = [leaf_hash(bytes([number])) for number in range(70)]
        for new in range(1, 70):
            for old in range(new + 1):
                path = consistency(old, new, lambda begin, end: root_of(leaves[begin:end]))
                roots = root_of(leaves[:old]), root_of(leaves[:new])
                self.assertTrue(is_consistent(old, roots[0], new, roots[1], path), (old, new))
                if 0 < old < new:
                    other = node_hash(roots[0], roots[1])
                    self.assertFalse(is_consistent(old, other, new, roots[1], path), (old, new))
                    self.assertFalse(is_consistent(old, roots[0], new, other, path), (old, new))
                    self.assertFalse(is_consistent(old, roots[0], new, roots[1], [*path, other]), (old, new))


if __name__ == "__main__":
    unittest.main()
