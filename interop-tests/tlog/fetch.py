"""The resources of a log, over HTTP or from a folder."""

from __future__ import annotations

import gzip
import http.client
import pathlib
import ssl
import urllib.error
import urllib.request

from .note import Wrong

# 256 entries of at most 65,535 bytes, and their lengths.
RESOURCE_MAX = 256 * (2 + 65_535)
SECONDS = 15


class Log:
    """A log by its prefix."""

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix.rstrip("/")
        # What is read is checked by its signature; a node makes its own certificate.
        self._context = ssl.create_default_context()
        self._context.check_hostname = False
        self._context.verify_mode = ssl.CERT_NONE

    def read(self, path: str, kind: str) -> bytes:
        if not self.prefix.startswith(("http://", "https://")):
            try:
                return pathlib.Path(self.prefix, path).read_bytes()
            except OSError as error:
                raise Wrong(f"{path}: {error.strerror}") from None
        request = urllib.request.Request(f"{self.prefix}/{path}", headers={"Accept-Encoding": "gzip, identity"})
        try:
            with urllib.request.urlopen(request, timeout=SECONDS, context=self._context) as answer:
                data = answer.read(RESOURCE_MAX + 1)
                encoding, got = answer.headers.get("Content-Encoding"), answer.headers.get("Content-Type", "")
        except (urllib.error.URLError, http.client.HTTPException, OSError) as error:
            raise Wrong(f"{path}: {error}") from None
        if encoding == "gzip":
            data = gzip.decompress(data)
        if len(data) > RESOURCE_MAX:
            raise Wrong(f"{path}: longer than {RESOURCE_MAX} bytes")
        if got.lower().replace(" ", "") != kind.replace(" ", ""):
            raise Wrong(f"{path}: its Content-Type is {got!r}, not {kind!r}")
        return data

    def checkpoint(self) -> bytes:
        return self.read("checkpoint", "text/plain; charset=utf-8")

    def tile(self, path: str) -> bytes:
        return self.read(path, "application/octet-stream")
