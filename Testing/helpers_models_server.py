"""A real HTTP server on loopback whose answers are scripted: it serves well, or misbehaves in one chosen way.

    with ModelServer({"/w.zip": content}) as server:
        server.script("/w.zip", Answer(cut_after=1000), Answer())   # the first request is cut, later ones are served well
        download(Source(urls=(server.url("/w.zip"),)), ...)
        server.requests("/w.zip")                                   # what was asked, with headers

Without a script it serves well: ranges, If-Range by entity tag and by date, Content-Length.
"""

from __future__ import annotations

import contextlib
import email.utils
import hashlib
import re
import shutil
import socket
import ssl
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

MODIFIED = email.utils.formatdate(1_700_000_000, usegmt=True)
PIECE = 1 << 16


@dataclass(frozen=True)
class Answer:
    """How one request is answered; the defaults serve well.

    status: instead of 200 or 206, with `body` ("" by default). headers: added, or taken away by None. body: instead of
    the content. etag: None sends the content's own, "" none. modified: "" sends no date. ranges: False answers 200 to a
    Range. shift: a 206 starts that many bytes too late. total: in Content-Range instead of the true one. length:
    Content-Length instead of the true one; "none" ends the body by closing, "chunked" by its last chunk. cut_after: bytes
    of body, then the connection is closed; reset: it is reset instead. stall_after: bytes of body, then silence until the
    server stops. bytes_per_s: a slow drip of small pieces.
    """

    status: int | None = None
    headers: dict[str, str | None] = field(default_factory=dict)
    body: bytes | None = None
    etag: str | None = None
    modified: str = MODIFIED
    ranges: bool = True
    shift: int = 0
    total: int | None = None
    length: int | str | None = None
    cut_after: int | None = None
    reset: bool = False
    stall_after: int | None = None
    bytes_per_s: float | None = None


@dataclass(frozen=True)
class Request:
    """What a client asked. headers: names in lower case."""

    path: str
    headers: dict[str, str]


class ModelServer:
    """Serves `contents` (path -> bytes, or a file to stream) on a port of its own until it is closed."""

    def __init__(self, contents: dict[str, bytes | Path], certificate: tuple[Path, Path] | None = None) -> None:
        self.contents = dict(contents)
        self._scripts: dict[str, list[Answer]] = {}
        self._asked: list[Request] = []
        self._guard = threading.Lock()
        self.closing = threading.Event()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.owner = self
        self._scheme = "http"
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
            self._scheme = "https"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    def __enter__(self) -> ModelServer:
        self._thread.start()
        return self

    def __exit__(self, *_error) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()

    @property
    def port(self) -> int:
        """The port that the system gave."""
        return self._server.server_address[1]

    def url(self, path: str) -> str:
        """Address of a path, which may hold a query."""
        return f"{self._scheme}://127.0.0.1:{self.port}{path}"

    def script(self, path: str, *answers: Answer) -> None:
        """How the next requests of that path are answered, in order; the last one holds for all that follow."""
        with self._guard:
            self._scripts[path] = list(answers)

    def requests(self, path: str | None = None) -> list[Request]:
        """What was asked so far, of one path or of all."""
        with self._guard:
            return [request for request in self._asked if path in (None, request.path)]

    def take(self, request: Request) -> Answer:
        """Notes a request; its answer."""
        with self._guard:
            self._asked.append(request)
            script = self._scripts.get(request.path) or [Answer()]
            return script.pop(0) if len(script) > 1 else script[0]


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 32
    owner: ModelServer

    def handle_error(self, request, client_address) -> None:
        """A client that went away is no error here."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, format: str, *args) -> None:
        """Tests print no log."""

    def do_GET(self) -> None:
        """One request."""
        path = self.path.partition("?")[0]
        answer = self.server.owner.take(Request(path, {name.lower(): value for name, value in self.headers.items()}))
        content = self.server.owner.contents.get(path, b"")
        if isinstance(content, Path):
            self._stream(content)
            return
        if answer.body is not None:
            content = answer.body
        if answer.status is not None:
            self._plain(answer, answer.status, answer.body or b"")
        elif path not in self.server.owner.contents:
            self._plain(answer, 404, b"")
        else:
            self._file(answer, content)

    def _plain(self, answer: Answer, status: int, body: bytes) -> None:
        self._send(answer, status, {"Content-Length": str(len(body))}, body)

    def _file(self, answer: Answer, content: bytes) -> None:
        """The content, whole or from the byte that was asked for."""
        etag = f'"{hashlib.md5(content).hexdigest()}"' if answer.etag is None else answer.etag
        headers = {"Content-Type": "application/zip", "Accept-Ranges": "bytes", "ETag": etag, "Last-Modified": answer.modified}
        match = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        mark = self.headers.get("If-Range")
        fresh = mark is None or (mark in (etag, answer.modified) and not mark.startswith("W/"))
        status, first = (206, int(match[1])) if match and answer.ranges and fresh else (200, 0)
        if status == 206 and first >= len(content):
            self._send(answer, 416, {"Content-Range": f"bytes */{len(content)}", "Content-Length": "0"}, b"")
            return
        if status == 206:
            first += answer.shift
            total = len(content) if answer.total is None else answer.total
            headers["Content-Range"] = f"bytes {first}-{total - 1}/{total}"
        body = content[first:]
        if answer.length == "chunked":
            headers["Transfer-Encoding"] = "chunked"
        elif answer.length != "none":
            headers["Content-Length"] = str(len(body) if answer.length is None else answer.length)
        self._send(answer, status, headers, body)

    def _send(self, answer: Answer, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in {**headers, **answer.headers}.items():
            if value:
                self.send_header(name, value)
        self.end_headers()
        if answer.length == "chunked":
            self._chunks(answer, body)
            return
        self._body(answer, body)
        if answer.length is not None or answer.cut_after is not None:
            self._hang_up(answer)

    def _body(self, answer: Answer, body: bytes) -> None:
        stops = [stop for stop in (answer.cut_after, answer.stall_after) if stop is not None]
        sent = body[: min(stops)] if stops else body
        if answer.bytes_per_s:
            for start in range(0, len(sent), 16):
                self.wfile.write(sent[start : start + 16])
                if self.server.owner.closing.wait(16 / answer.bytes_per_s):
                    return
        else:
            self.wfile.write(sent)
        if answer.stall_after is not None:
            self.server.owner.closing.wait()
            self.close_connection = True

    def _chunks(self, answer: Answer, body: bytes) -> None:
        for start in range(0, len(body), PIECE):
            piece = body[start : start + PIECE]
            if answer.cut_after is not None and start + len(piece) > answer.cut_after:
                self._hang_up(answer)
                return
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        self.wfile.write(b"0\r\n\r\n")

    def _stream(self, file: Path) -> None:
        """A large file by the system's own copy, for benchmarks."""
        self.send_response(200)
        self.send_header("Content-Length", str(file.stat().st_size))
        self.end_headers()
        with open(file, "rb") as stream:
            self.connection.sendfile(stream)

    def _hang_up(self, answer: Answer) -> None:
        self.close_connection = True
        if answer.reset:  # linger of 0 s: the system sends a reset instead of an end, once the client took what was sent
            time.sleep(0.05)
            self.connection.setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)
            )
            self.connection.close()


def make_certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that nobody trusts yet, and its key, made by the program openssl; skips without it."""
    program = shutil.which("openssl")
    if program is None:
        pytest.skip("the program openssl, which makes the test's certificate, is not installed")
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    wanted = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2"]
    kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    files = ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run([program, "req", "-x509", *kind, *wanted, *files], check=True, capture_output=True)
    return certificate, key


@contextlib.contextmanager
def listening_to_nobody() -> Iterator[int]:
    """A port of loopback where a connection is refused."""
    with contextlib.closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]
