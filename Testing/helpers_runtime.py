"""Real wheels of a few lines, a set of packages made of them, and an index on the loopback that counts and can be slow."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import http.server
import json
import os
import subprocess
import sys
import threading
import time
import zipfile
from dataclasses import dataclass, field
from pathlib import Path

from ModelManagerLib.runtime_locks import folder_name
from ModelManagerLib.runtime_sets import HOST, ISOLATED, RuntimeSet
from ModelManagerLib.transfer_settings import TransferSettings

SETTINGS = TransferSettings(proxies={})
QUICK_LOCKS = {"beat_s": 0.05, "missed_beats": 4, "poll_s": 0.02}

TINY = RuntimeSet(
    "tiny",
    "Tiny packages",
    ("oncotiny-first>=1",),
    (ISOLATED, HOST),
    locked=True,
    modules={"oncotiny-first": "oncotiny_first", "oncotiny-second": "oncotiny_second"},
    reason="it is a test",
    space_bytes=1_000_000,
)

FILES = {
    "oncotiny-first": {
        "oncotiny_first/__init__.py": "from oncotiny_second import VALUE\n",
        "oncotiny_first/data.bin": "x" * 5000,
    },
    "oncotiny-second": {"oncotiny_second.py": "VALUE = 42\n"},
}


def digest_line(name: str, content: bytes) -> str:
    """A line of RECORD."""
    digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).decode().rstrip("=")
    return f"{name},sha256={digest},{len(content)}\n"


def make_wheel(
    folder: Path, name: str, version: str, files: dict[str, str] | None = None, requires: tuple[str, ...] = ()
) -> Path:
    """A wheel for every Python, with its RECORD."""
    folder.mkdir(parents=True, exist_ok=True)
    stem = f"{name.replace('-', '_')}-{version}"
    info = f"{stem}.dist-info"
    metadata = [f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n", *(f"Requires-Dist: {one}\n" for one in requires)]
    inside = {
        **(FILES[name] if files is None else files),
        f"{info}/METADATA": "".join(metadata),
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(digest_line(path, text.encode()) for path, text in inside.items()) + f"{info}/RECORD,,\n"
    path = folder / f"{stem}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for one, text in {**inside, f"{info}/RECORD": record}.items():
            archive.writestr(one, text)
    return path


def write_lock(folder: Path, wheels: list[Path], set_name: str = "tiny") -> Path:
    """The lock file of these wheels for this Python and platform."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = []
    for wheel in wheels:
        name, version = wheel.name.split("-")[:2]
        lines.append(
            f"{name.replace('_', '-')}=={version} \\\n    --hash=sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}\n"
        )
    path = folder / f"{folder_name(set_name)}.txt"
    path.write_text("# made by a test\n" + "".join(lines))
    return path


@dataclass
class Shop:
    """Folders of one test: the runtime's root, wheels, lock files."""

    root: Path
    wheels: Path
    locks: Path

    @property
    def folder(self) -> Path:
        """Where the set lies."""
        return self.root / folder_name("tiny")

    @property
    def common(self) -> dict:
        """Arguments of `runtime.install` that never change."""
        return {"root": self.root, "settings": SETTINGS, "locks_folder": self.locks, "lock_options": QUICK_LOCKS}

    def stock(self, version: str = "1.0", **files: dict[str, str]) -> list[Path]:
        """Both wheels in that version, and the lock file that lists them."""
        made = [make_wheel(self.wheels, name, version, files.get(name.replace("-", "_"))) for name in FILES]
        write_lock(self.locks, made)
        return made

    def states_of_files(self) -> dict[str, str]:
        """SHA-256 of every file below the set's folder, compiled ones left out."""
        return {
            path.relative_to(self.folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(self.folder.rglob("*"))
            if path.is_file() and path.suffix != ".pyc"
        }


def shop_in(folder: Path) -> Shop:
    """New folders; the set "tiny" must be put into `runtime_sets.SETS`."""
    return Shop(folder / "packages of a user ü", folder / "wheels", folder / "locks")


@dataclass
class Index:
    """A simple index (PEP 503) of a folder of wheels. slow_s: before each piece of 1000 bytes; cut: bytes that files end at."""

    url: str
    asked: list[str] = field(default_factory=list)
    slow_s: float = 0.0
    cut: int | None = None
    wanted_password: str = ""
    """user:password; "" lets everybody in."""


@contextlib.contextmanager
def index_of(wheels: Path):
    """Serves the wheels on 127.0.0.1 as long as the context lasts."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            index.asked.append(self.path)
            given = self.headers.get("Authorization", "").removeprefix("Basic ")
            if index.wanted_password and base64.b64decode(given).decode() != index.wanted_password:
                self.send_response(401)
                self.send_header("WWW-Authenticate", 'Basic realm="mirror"')
                self.end_headers()
                return
            kind, body = ("application/octet-stream", self.file()) if self.path.endswith(".whl") else ("text/html", self.page())
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            with contextlib.suppress(OSError):
                for start in range(0, len(body), 1000):
                    if self.path.endswith(".whl"):
                        time.sleep(index.slow_s)
                    self.wfile.write(body[start : start + 1000])

        def file(self) -> bytes:
            return (wheels / Path(self.path).name).read_bytes()[: index.cut]

        def page(self) -> bytes:
            name = self.path.strip("/").split("/")[-1].replace("-", "_")
            links = [f'<a href="/files/{one.name}">{one.name}</a>' for one in sorted(wheels.glob(f"{name}-*.whl"))]
            return "".join(["<!DOCTYPE html><html><body>", *links, "</body></html>"]).encode()

        def log_message(self, *_arguments):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    index = Index(f"http://127.0.0.1:{server.server_port}/simple")
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield index
    finally:
        server.shutdown()
        server.server_close()


def only_index(monkeypatch, index: Index) -> None:
    """pip is configured for this index and nothing else."""
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_INDEX_URL", index.url)


def in_worker(folders: list[str], code: str) -> dict:
    """What a worker with these folders first on its path prints as JSON."""
    boot = f"import sys; sys.path[:0] = {folders!r}\n{code}"
    done = subprocess.run([sys.executable, "-c", boot], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
