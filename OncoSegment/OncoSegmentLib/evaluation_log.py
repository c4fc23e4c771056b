"""The evaluation log: a SQLite file of the user's own with one row for each run and one for each structure compared.

It knows no patient: a case is the hash of its image's content, a structure is a code. The file is its owner's alone.
What is there is never replaced: a file that is damaged, of another program or of a newer version is refused in one
sentence and stays as it is.

A rollback journal, not write-ahead logging: the latter needs memory that all readers share and so does not work on a network
file system (Gaffney et al., PVLDB 15, page 3535), where home folders of hospitals lie; and a row a run asks for no
concurrency that a wait of milliseconds would not give. At rest the log is one file.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

from OncoLib.errors import InputError, OutputError

if TYPE_CHECKING:
    import sqlite3

VARIABLE = "ONCOSEGMENT_EVALUATION"
FILE = "evaluation.sqlite"
APPLICATION_ID = 0x4F6E6345
"""In the header of the file: ours."""

VERSION = 1
WAIT_S = 5.0
"""How long a writer waits for another; one row takes milliseconds."""

INDEPENDENT, CORRECTED, EXPERT = "independent", "corrected", "expert"
KINDS = (INDEPENDENT, CORRECTED, EXPERT)
"""What a reference is: a mask made without the result, the result itself as a reader corrected it, or what another expert made.
The second begins from the result and so agrees with it more, the third is no truth: they are never counted together."""


@dataclass(frozen=True)
class Run:
    """One run of an expert.

    run: names it, equal for the same run however often it is logged. case: SHA-256 of the image's content. task: of the
    model, or the built-in profile. started: ISO 8601. peak_memory_mb: of the process, in MiB. agreement: mean Dice
    with the consensus of a panel, None for an expert that ran alone.
    """

    run: str
    case: str
    model: str
    version: str
    weights: str
    task: str
    device: str
    started: str
    seconds: float | None
    peak_memory_mb: float | None
    segments: int
    agreement: float | None = None


@dataclass(frozen=True)
class Comparison:
    """One structure of a run against a reference. reference: SHA-256 of its file. kind: one of `KINDS`. structure: id in our
    terminology, or its codes. place: of the segment in the result, for several of one
    structure; negative where it had none. Numbers are
    None where they are not defined; lesions are None where nobody asked for them.
    """

    run: str
    kind: str
    reference: str
    structure: str
    place: int
    status: str
    dice: float | None
    iou: float | None
    nsd_1mm: float | None
    nsd_2mm: float | None
    hd95_mm: float | None
    assd_mm: float | None
    volume_ml: float | None
    reference_ml: float | None
    volume_error_ml: float | None
    volume_error_percent: float | None
    lesions_reference: int | None = None
    lesions_result: int | None = None
    lesions_found: int | None = None
    compared: str = ""


SCHEMA = (
    """CREATE TABLE runs (run TEXT PRIMARY KEY NOT NULL, "case" TEXT NOT NULL, model TEXT NOT NULL, version TEXT NOT NULL,
    weights TEXT NOT NULL, task TEXT NOT NULL, device TEXT NOT NULL, started TEXT NOT NULL, seconds REAL, peak_memory_mb REAL,
    segments INTEGER NOT NULL, agreement REAL)""",
    """CREATE TABLE comparisons (run TEXT NOT NULL REFERENCES runs(run), kind TEXT NOT NULL, reference TEXT NOT NULL,
    structure TEXT NOT NULL, place INTEGER NOT NULL, status TEXT NOT NULL, dice REAL, iou REAL, nsd_1mm REAL, nsd_2mm REAL,
    hd95_mm REAL, assd_mm REAL, volume_ml REAL, reference_ml REAL, volume_error_ml REAL, volume_error_percent REAL,
    lesions_reference INTEGER, lesions_result INTEGER, lesions_found INTEGER, compared TEXT NOT NULL,
    PRIMARY KEY (run, kind, reference, structure, place))""",
    f"PRAGMA application_id = {APPLICATION_ID}",
    f"PRAGMA user_version = {VERSION}",
)


def log_path(environ: Mapping[str, str] = os.environ, home: Path | None = None) -> Path:
    """Environment ONCOSEGMENT_EVALUATION (a file, or a folder for it), else `~/.oncosegment/evaluation.sqlite`."""
    named = environ.get(VARIABLE, "").strip()
    if not named:
        return (home or Path.home()) / ".oncosegment" / FILE
    path = Path(named).expanduser()
    return path / FILE if path.is_dir() else path


def add_run(run: Run, path: Path | None = None, *, comparisons: tuple[Comparison, ...] = (), wait_s: float = WAIT_S) -> None:
    """Adds a run, unless it is there, and comparisons, which replace the same ones; all of it or nothing.

    Raises InputError for a file that is damaged, newer or another program's, OutputError when it cannot be written.
    """
    with opened(path or log_path(), wait_s=wait_s, make=True) as database:
        database.execute(_insert("runs", Run, "IGNORE"), astuple(run))
        if run.agreement is not None:
            database.execute("UPDATE runs SET agreement = ? WHERE run = ?", (run.agreement, run.run))
        database.executemany(_insert("comparisons", Comparison, "REPLACE"), [astuple(one) for one in comparisons])


def read(path: Path | None = None, *, wait_s: float = WAIT_S) -> tuple[list[Run], list[Comparison]]:
    """All runs in the order in which they began, and all comparisons; empty without a file. Raises what `add_run` raises."""
    path = path or log_path()
    if not path.exists():
        return [], []
    with opened(path, wait_s=wait_s, make=False) as database:
        if database is None:
            return [], []
        runs = [Run(*row) for row in database.execute(f"SELECT {_names(Run)} FROM runs ORDER BY started, rowid")]
        rows = database.execute(f"SELECT {_names(Comparison)} FROM comparisons ORDER BY compared, rowid")
        return runs, [Comparison(*row) for row in rows]


def _names(kind: type) -> str:
    return ", ".join(f'"{one.name}"' for one in fields(kind))


def _insert(table: str, kind: type, otherwise: str) -> str:
    return f"INSERT OR {otherwise} INTO {table} ({_names(kind)}) VALUES ({', '.join('?' * len(fields(kind)))})"


@contextlib.contextmanager
def opened(path: Path, *, wait_s: float, make: bool) -> Iterator[sqlite3.Connection | None]:
    """The log within one transaction, checked before anything is written; None for an empty file that is only read."""
    try:
        import sqlite3
    except ImportError as error:
        raise OutputError(f"{path.name}: this Python has no sqlite3; nothing can be logged") from error

    with _told(path, sqlite3, make):
        if make:
            _make_private(path)
        database = sqlite3.connect(path.absolute(), timeout=wait_s, isolation_level=None)
        try:
            database.execute("BEGIN IMMEDIATE" if make else "BEGIN")
            usable = check(database, path)
            if make and not usable:
                for statement in SCHEMA:
                    database.execute(statement)
            yield database if usable or make else None
            database.execute("COMMIT")
        finally:
            database.close()  # takes back what is not committed


def check(database: sqlite3.Connection, path: Path) -> bool:
    """True for a log that can be used, False for an empty file; InputError for anything else."""
    application, version, problem = (
        database.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version", "quick_check(1)")
    )
    if problem != "ok":
        raise InputError(f"{path.name}: the evaluation log is damaged; it was left as it is, move it away to begin a new one")
    tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if not tables and (application, version) == (0, 0):
        return False
    if application != APPLICATION_ID:
        raise InputError(f"{path.name}: it is a database of another program, which was left as it is; wanted an evaluation log")
    if version > VERSION:
        raise InputError(
            f"{path.name}: a newer OncoSegment wrote it (format {version}; this one reads up to {VERSION}); it was left as it is"
        )
    if not {"runs", "comparisons"} <= tables:
        raise InputError(f"{path.name}: the evaluation log lacks a table; it was left as it is, move it away to begin a new one")
    return True


def _make_private(path: Path) -> None:
    """An empty file that only its owner can read, where none is; SQLite gives its journal the same rights."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    if os.name == "posix" and path.stat().st_mode & 0o077:
        with contextlib.suppress(PermissionError):
            path.chmod(0o600)


@contextlib.contextmanager
def _told(path: Path, sqlite3, make: bool) -> Iterator[None]:
    """What SQLite and the system say as one sentence."""
    end = "; nothing was added" if make else ""
    try:
        yield
    except sqlite3.OperationalError as error:
        text = str(error)
        if "locked" in text or "busy" in text:
            raise OutputError(f"{path.name}: another program is writing the evaluation log{end}") from error
        raise OutputError(f"{path.name}: the evaluation log cannot be read or written ({text}){end}") from error
    except sqlite3.DatabaseError as error:
        raise InputError(
            f"{path.name}: it is damaged or no evaluation log; it was left as it is, move it away to begin a new one"
        ) from error
    except OSError as error:
        reason = (error.strerror or "the system refused").lower()
        raise OutputError(f"{path.name}: the evaluation log cannot be written ({reason}){end}") from error
