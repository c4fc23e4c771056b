"""The package's session on its server: closed doors, a key that is never shown, and sessions that end and begin anew.

The server gets voxels, prompts and masks; no name, no UID, no place in the patient. The package's client is used as it is
(nninteractive-client 2.6: httpx and blosc2, no torch).
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import ipaddress
import os
from collections.abc import Callable, Iterator, Mapping
from urllib.parse import urlsplit

import numpy as np

from OncoLib.errors import InputError, ModelError, OncoError, WorkerError
from OncoLib.progress import CancelToken, Progress
from OncoSegmentLib.refine.nninteractive.engine import SessionGone
from OncoSegmentLib.refine.nninteractive.hints import Hint
from OncoSegmentLib.refine.nninteractive.local import told
from OncoSegmentLib.refine.nninteractive.weights import UNNAMED, capabilities_of, notice_of, require_accepted

VARIABLE = "NN_INTERACTIVE_API_KEY"
KEYRING_SERVICE = "oncosegment-nninteractive"
LOOK_SECONDS = 0.02
"""How often a waiting call looks whether it was cancelled."""

ANSWER_SECONDS = 900.0
"""A server without a GPU takes minutes for an image of usual size."""

MISSING = "!!MISSING!!"
"""What the package says for a license that nobody names."""


class RemoteHost:
    """One session on a server. buffer: uint8 `[k, j, i]`, what it has segmented, as far as it was told.

    Connects at once: WorkerError when nobody answers, ModelError for a license that was not accepted or a key that is refused.
    """

    def __init__(
        self, server: str, key: str = "", *, without_tls: bool = False, accepted: str = "", autozoom: bool = True
    ) -> None:
        require_client()
        self.address = checked_address(server, without_tls)
        self._key = key or key_of(self.address)
        self._autozoom, self._session, self.buffer = autozoom, None, None
        self.whole, self.notes = False, ()
        self._caller = concurrent.futures.ThreadPoolExecutor(1, thread_name_prefix="nninteractive")
        try:
            self._connect(CancelToken())
            license = self._session.license or MISSING
            license = UNNAMED if license == MISSING else license
            require_accepted(f"of {self.place}", license, accepted)
        except BaseException:
            self.close()
            raise
        notice = notice_of(f"of {self.place}", license, "NC" in license.upper())
        self._license = self._session.license
        self.capabilities = capabilities_of(self._session.supported_interactions, self._session.supports_initial_label, notice)
        self._refines = bool(self._session.supports_zero_shot_label_refinement)
        self.thickness = tuple(float(one) for one in self._session.preferred_scribble_thickness)

    @property
    def place(self) -> str:
        """Host and port, without anything secret."""
        return urlsplit(self.address).netloc

    def set_image(self, voxels: np.ndarray, *, progress: Progress, cancel: CancelToken) -> None:
        """Sends the image; a session that has ended is begun anew."""
        try:
            self._send(voxels, progress, cancel)
        except SessionGone:
            self.renew(voxels, progress=progress, cancel=cancel)

    def renew(self, voxels: np.ndarray, *, progress: Progress, cancel: CancelToken) -> None:
        """A new session with this image. WorkerError when the server does not answer."""
        self._leave()
        try:
            self._connect(cancel)
            if self._session.license != self._license:
                raise ModelError(f"the server {self.place} has other weights than before; choose the engine again")
            self._send(voxels, progress, cancel)
        except SessionGone as error:
            raise self.lost() from error

    def begin(self, start: np.ndarray | None, *, refined: bool, cancel: CancelToken):
        """As `LocalHost.begin`."""
        if start is None:
            return self._call(lambda session: session.reset_interactions(), cancel)
        mask, run = start.astype(np.uint8), refined and self._refines
        return self._call(lambda session: session.add_initial_seg_interaction(mask, run_prediction=run), cancel)

    def tell(self, hint: Hint, *, cancel: CancelToken):
        """As `LocalHost.tell`; a cancelled call ends at once here, and on the server when it is done."""
        return self._call(lambda session: told(session, hint), cancel)

    def undo(self) -> bool:
        """Takes the last prompt back; False when that cannot be done."""
        return bool(self._session is not None and self._session.supports_undo and self._call(lambda session: session.undo()))

    def close(self) -> None:
        """Gives the session back."""
        self._leave()
        self._caller.shutdown(wait=False)

    def lost(self) -> WorkerError:
        """The error for a server that does not answer."""
        return WorkerError(
            f"The nnInteractive server at {self.place} does not answer. The segment is as it was; when the server is there"
            " again, the next click sends image and prompts anew."
        )

    def _connect(self, cancel: CancelToken) -> None:
        from nnInteractive.inference.remote import nnInteractiveRemoteInferenceSession

        def connected():
            with no_proxy(self.address):
                session = nnInteractiveRemoteInferenceSession(self.address, self._key or None, read_timeout=ANSWER_SECONDS)
            session.set_do_autozoom(self._autozoom)
            return session

        try:
            self._session = self._done(self._caller.submit(connected), cancel, stray=lambda session: session.close())
        except SessionGone as error:
            raise self.lost() from error

    def _send(self, voxels: np.ndarray, progress: Progress, cancel: CancelToken) -> None:
        progress(0.0, "Sending the image to the nnInteractive server")
        buffer = np.zeros(voxels.shape, np.uint8)

        def send(session) -> None:
            session.set_image(np.ascontiguousarray(voxels)[None])
            session.set_target_buffer(buffer)

        self._call(send, cancel)
        self.buffer = buffer
        progress(1.0, "The nnInteractive server has the image")

    def _call(self, work: Callable, cancel: CancelToken | None = None):
        """The answer of the session to `work(session)`. SessionGone when there is none, or it does not answer any more."""
        self.whole = False
        if self._session is None:
            raise SessionGone()
        found = self._done(self._caller.submit(work, self._session), cancel or CancelToken())
        self.whole = True
        return found

    def _done(self, future: concurrent.futures.Future, cancel: CancelToken, stray: Callable | None = None):
        """The result of a call; when it is cancelled, its session is left, and closed once the call has ended."""
        while not concurrent.futures.wait([future], LOOK_SECONDS).done:
            if cancel.cancelled:
                self._abandon(future, stray)
                cancel.check()
        try:
            return future.result()
        except Exception as error:
            raise self._own(error) from error

    def _abandon(self, future: concurrent.futures.Future, stray: Callable | None) -> None:
        session, self._session = self._session, None
        old, self._caller = self._caller, concurrent.futures.ThreadPoolExecutor(1, thread_name_prefix="nninteractive")

        def end(done) -> None:
            with contextlib.suppress(Exception):
                (stray(done.result()) if stray else session.close())

        future.add_done_callback(end)
        old.shutdown(wait=False)

    def _leave(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            with contextlib.suppress(Exception):
                session.close()

    def _own(self, error: Exception) -> Exception:
        """One of our errors, or SessionGone, for what the client raised."""
        import httpx
        from nnInteractive.inference.remote import ServerAtCapacityError, SessionExpiredError

        if isinstance(error, OncoError):
            return error
        if isinstance(error, SessionExpiredError):
            self._leave()
            return SessionGone()
        if isinstance(error, ServerAtCapacityError):
            return WorkerError(f"The nnInteractive server at {self.place} has no free session; try again when another has ended.")
        if isinstance(error, httpx.HTTPStatusError):
            return self._refused(error.response.status_code)
        if isinstance(error, httpx.HTTPError):
            self._leave()
            return SessionGone()
        self._leave()
        kind = type(error).__name__
        return WorkerError(f"The nnInteractive server at {self.place} gave an answer that cannot be read ({kind}).")

    def _refused(self, code: int) -> OncoError:
        if code in (401, 403):
            told = f"Give the right one in {VARIABLE} or the keyring (`keyring set {KEYRING_SERVICE} {self.place}`)"
            return ModelError(f"the nnInteractive server at {self.place} refuses the key, or wants one. {told}")
        self._leave()
        return WorkerError(f"The nnInteractive server at {self.place} could not answer (status {code}); its own log says why.")


def checked_address(server: str, without_tls: bool) -> str:
    """The address without a path; InputError when it is none, holds a key, or would show the image to the network."""
    try:
        parts = urlsplit(server)
        whole = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        whole = False
    if not whole:
        raise InputError("the nnInteractive server has no address that can be used; wanted one like https://host:1527")
    if parts.username or parts.password or parts.query or parts.fragment:
        told = "the address of the nnInteractive server holds more than host and port"
        raise InputError(f"{told}; its key belongs into {VARIABLE}")
    if parts.scheme == "http" and not without_tls and not is_loopback(parts.hostname):
        raise InputError(
            f"the nnInteractive server {parts.netloc} is asked without TLS: everybody on the network could read the image and the"
            " key; wanted https://..., a tunnel to this machine (ssh -L), or without_tls=True in words"
        )
    return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"


def is_loopback(host: str) -> bool:
    """True for this machine by number, or as localhost."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def key_of(address: str, environ: Mapping[str, str] = os.environ) -> str:
    """The server's key from the environment, else from the system's keyring under its host and port; "" when there is none."""
    found = environ.get(VARIABLE, "").strip()
    if found:
        return found
    try:
        import keyring
        from keyring.errors import KeyringError
    except ImportError:
        return ""
    try:
        return (keyring.get_password(KEYRING_SERVICE, urlsplit(address).netloc) or "").strip()
    except KeyringError:
        return ""


@contextlib.contextmanager
def no_proxy(address: str) -> Iterator[None]:
    """Inside, a client made for this machine goes there directly: a proxy from the environment would see image and key."""
    host = urlsplit(address).hostname or ""
    if not is_loopback(host):
        yield
        return
    with environment(NO_PROXY=host, no_proxy=host):
        yield


@contextlib.contextmanager
def environment(**values: str) -> Iterator[None]:
    """These variables inside; afterwards as before."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def require_client() -> None:
    """ModelError without the client's package."""
    import importlib.util

    try:
        found = importlib.util.find_spec("nnInteractive.inference.remote.remote_session")
    except ImportError:
        found = None
    if found is None:
        raise ModelError(
            "an nnInteractive server is asked with the package nninteractive-client, which is not installed: pip install"
            " nninteractive-client"
        )
