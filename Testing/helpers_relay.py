"""A relay of TCP connections on loopback, as `ssh -L` makes one."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def relay(port: int) -> Iterator[tuple[int, Callable[[], int]]]:
    """Yields the port at which it listens, and what tells how many connections went through."""
    server, opened = socket.create_server(("127.0.0.1", 0)), []

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = server.accept()
                far = socket.create_connection(("127.0.0.1", port))
                opened.append(near)
                for source, target in ((near, far), (far, near)):
                    threading.Thread(target=pump, args=(source, target), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield server.getsockname()[1], lambda: len(opened)
    finally:
        server.close()


def pump(source: socket.socket, target: socket.socket) -> None:
    """Passes on what comes, until either end closes."""
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)
