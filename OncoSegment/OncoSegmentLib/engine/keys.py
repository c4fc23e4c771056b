"""TLS keys of a cluster, as files that only their owner can read.

`make_keys` makes an authority for one cluster, signs one certificate for its scheduler and workers and one for its
clients, and throws the authority's own key away, so that nobody can sign another. distributed (2026.8, its security.py) asks
both sides for a certificate of that authority and does not compare host names. So whoever holds `client-key.pem` can run
programs on the cluster as its owner, from anywhere that reaches the scheduler's port.
"""

from __future__ import annotations

import datetime
import os
import shutil
import ssl
import stat
from collections.abc import Sequence
from pathlib import Path

from OncoLib.errors import InputError, OutputError

AUTHORITY = "ca.pem"
PARTS = {"cluster": ("scheduler", "worker"), "client": ("client",)}
"""Certificates, and which of distributed's roles show each."""

DAYS = 30
CLOCKS_DIFFER = datetime.timedelta(hours=1)
"""A node whose clock is behind by less takes new certificates too."""


def certificate_name(part: str) -> str:
    """File of a part's certificate."""
    return f"{part}.pem"


def key_name(part: str) -> str:
    """File of a part's private key."""
    return f"{part}-key.pem"


def make_keys(
    folder: Path, hosts: Sequence[str] = (), *, days: int = DAYS, now: datetime.datetime | None = None
) -> list[Path]:
    """Makes `folder` with new keys that are valid for `days`; returns the files.

    hosts: names and addresses of the scheduler, written into its certificate for programs that look at them.
    Raises OutputError when `folder` is there already or cannot be written, InputError when cryptography is missing.
    """
    if days < 1:
        raise InputError(f"the keys shall be valid for {days} days; wanted at least 1")
    texts = _signed(hosts, days, now or datetime.datetime.now(datetime.timezone.utc))
    folder = Path(folder)
    try:
        folder.mkdir(mode=0o700, parents=True)
    except FileExistsError as error:
        raise OutputError(f"{folder.name} is there already and was kept; choose a new folder for the keys") from error
    except OSError as error:
        reason = (error.strerror or "the system refused").lower()
        raise OutputError(f"{folder.name}: the folder of the keys could not be made ({reason})") from error
    try:
        for name, text in texts.items():
            _write_private(folder / name, text)
    except OSError as error:
        shutil.rmtree(folder, ignore_errors=True)
        reason = (error.strerror or "the system refused").lower()
        raise OutputError(f"{folder.name}: the keys could not be written ({reason}); nothing was left") from error
    return [folder / name for name in texts]


def _write_private(path: Path, content: bytes) -> None:
    """A file that never was readable to others, not even for a moment."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "wb") as stream:
        stream.write(content)


def _signed(hosts: Sequence[str], days: int, now: datetime.datetime) -> dict[str, bytes]:
    """Content of each file, by its name."""
    try:
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import ec
    except ImportError as error:
        raise InputError("keys are made with the package cryptography, which is missing: pip install cryptography") from error

    authority_key = ec.generate_private_key(ec.SECP256R1())
    during = (now - CLOCKS_DIFFER, now + datetime.timedelta(days=days))
    authority = _certificate("OncoSegment cluster", authority_key, None, authority_key, during)
    texts = {AUTHORITY: authority.public_bytes(serialization.Encoding.PEM)}
    for part in PARTS:
        key = ec.generate_private_key(ec.SECP256R1())
        named = hosts if part == "cluster" else ()
        signed = _certificate(f"OncoSegment {part}", key, authority, authority_key, during, named)
        texts[certificate_name(part)] = signed.public_bytes(serialization.Encoding.PEM)
        texts[key_name(part)] = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    return texts


def _certificate(name: str, key, issuer, issuer_key, during: tuple, hosts: Sequence[str] = ()):
    """A certificate for `key`, signed by the issuer; without one, an authority's own."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes

    subject = x509.Name([x509.NameAttribute(x509.oid.NameOID.COMMON_NAME, name)])
    is_authority = issuer is None
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if is_authority else issuer.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(during[0])
        .not_valid_after(during[1])
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=0 if is_authority else None), critical=True)
        .add_extension(_key_usage(is_authority), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
    )
    if not is_authority:
        builder = builder.add_extension(_purposes(name), critical=False)
    if hosts:
        builder = builder.add_extension(x509.SubjectAlternativeName([_general_name(host) for host in hosts]), critical=False)
    return builder.sign(issuer_key, hashes.SHA256())


def _key_usage(is_authority: bool):
    from cryptography.x509 import KeyUsage

    others = ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "encipher_only", "decipher_only")
    signing = {"digital_signature": not is_authority, "key_cert_sign": is_authority, "crl_sign": is_authority}
    return KeyUsage(**signing, **dict.fromkeys(others, False))


def _purposes(name: str):
    """A client's certificate opens connections only: with it nobody can pose as a scheduler or worker."""
    from cryptography.x509 import ExtendedKeyUsage
    from cryptography.x509.oid import ExtendedKeyUsageOID as Purpose

    both = [Purpose.SERVER_AUTH, Purpose.CLIENT_AUTH]
    return ExtendedKeyUsage(both[1:] if name.endswith("client") else both)


def _general_name(host: str):
    """A host as an address where it is one, else as a DNS name."""
    import ipaddress

    from cryptography import x509

    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        pass
    try:
        return x509.DNSName(host)
    except ValueError as error:
        raise InputError(f"the host {host!r} is neither a name nor an address") from error


def security_of(folder: Path, part: str = "client", *, now: datetime.datetime | None = None):
    """distributed's `Security` of a folder of keys, with encryption required.

    part: "client", which needs the files of the authority and of the client alone, or "cluster" for scheduler and workers
    (and the client that starts them). Raises InputError for files that are missing, unreadable, readable to others, expired.
    """
    from distributed import Security

    paths = checked_keys(folder, part, now=now)
    fields = {"tls_ca_file": str(paths["ca"])}
    for role in PARTS["cluster"] + PARTS["client"] if part == "cluster" else PARTS["client"]:
        fields |= {f"tls_{role}_cert": str(paths["certificate"]), f"tls_{role}_key": str(paths["key"])}
    return Security(require_encryption=True, **fields)


def checked_keys(folder: Path, part: str = "client", *, now: datetime.datetime | None = None) -> dict[str, Path]:
    """Paths of ca, certificate and key, absolute; InputError as `security_of`."""
    folder = Path(folder).expanduser().absolute()
    if not folder.is_dir():
        raise InputError(f"{folder.name} is no folder; wanted the folder of the cluster's keys")
    names = {"ca": AUTHORITY, "certificate": certificate_name(part), "key": key_name(part)}
    paths = {kind: folder / name for kind, name in names.items()}
    for path in paths.values():
        _check_readable(path)
    _check_private(paths["key"])
    try:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(cafile=paths["ca"])
        context.load_cert_chain(paths["certificate"], paths["key"])
    except (ssl.SSLError, ValueError) as error:
        found = ", ".join(names.values())
        raise InputError(f"{folder.name}: {found} are not the keys of a cluster that belong together") from error
    _check_dates(folder, context, now or datetime.datetime.now(datetime.timezone.utc))
    return paths


def _check_readable(path: Path) -> None:
    try:
        with open(path, "rb"):
            pass
    except FileNotFoundError as error:
        raise InputError(f"{path.name} is not in the folder of the keys, {path.parent.name}") from error
    except OSError as error:
        reason = (error.strerror or "the system refused").lower()
        raise InputError(f"{path.name} in the folder of the keys cannot be read ({reason})") from error


def _check_private(path: Path) -> None:
    """As PostgreSQL does with its keys: mode 600, or 640 where root owns them, as Kubernetes mounts its secrets."""
    if os.name != "posix":
        return
    found = path.stat()
    mode, mine = stat.S_IMODE(found.st_mode), found.st_uid == os.geteuid()
    if not mine and found.st_uid != 0:
        raise InputError(f"{path.name} belongs to another user; wanted keys of your own")
    if mode & (0o077 if mine else 0o027):
        raise InputError(f"{path.name} can be read or changed by other users (mode {mode:o}); wanted mode 600: chmod 600")


def _check_dates(folder: Path, context: ssl.SSLContext, now: datetime.datetime) -> None:
    """The authority is as long valid as what it signed, and Python tells the dates of authorities alone."""
    found = context.get_ca_certs()
    if not found:
        raise InputError(f"{folder.name}: {AUTHORITY} holds no certificate of an authority")
    begin, end = (ssl.cert_time_to_seconds(found[0][name]) for name in ("notBefore", "notAfter"))
    if now.timestamp() > end:
        raise InputError(f"the keys in {folder.name} expired on {found[0]['notAfter']}; make new ones (oncosegment cluster keys)")
    if now.timestamp() < begin:
        raise InputError(f"the keys in {folder.name} are valid from {found[0]['notBefore']} on; check this machine's clock")
