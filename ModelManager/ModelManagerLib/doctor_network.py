"""The doctor's questions to proxies, certificates, offline mode and the keyring. No address and no value is ever told."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from ModelManagerLib.finding import FAIL, OK, UNKNOWN, WARN, Finding
from ModelManagerLib.transfer_settings import CERTIFICATE_VARIABLES, OFFLINE_VARIABLES, TransferSettings
from OncoLib.errors import OncoError

PROXY_VARIABLES = ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY")
NO_KEEPER = ("keyring.backends.fail", "keyring.backends.null")


def network_findings(environ: Mapping[str, str]) -> list[Finding]:
    """Proxy, certificates, offline mode."""
    return [*proxy_findings(environ), *certificate_findings(environ), offline_finding(environ)]


def proxy_findings(environ: Mapping[str, str]) -> list[Finding]:
    """Which variables are set, and whether their values are addresses."""
    set_ones = [name for name in PROXY_VARIABLES if either(environ, name)]
    if not set_ones:
        return [Finding("Proxy", OK, "No proxy is set in the environment.")]
    found = [proxy_problem(environ, name) for name in set_ones if name != "NO_PROXY"]
    problems = [finding for finding in found if finding is not None]
    return problems or [Finding("Proxy", OK, f"Set: {', '.join(set_ones)}.")]


def either(environ: Mapping[str, str], name: str) -> str:
    """The value in small letters or in capitals; programs read the small one first."""
    return (environ.get(name.lower()) or environ.get(name) or "").strip()


def proxy_problem(environ: Mapping[str, str], name: str) -> Finding | None:
    """A value that is no address, or two that differ."""
    small, large = (environ.get(name.lower()) or "").strip(), (environ.get(name) or "").strip()
    if small and large and small != large:
        told = f"{name} and {name.lower()} have different values: programs will not agree which to use."
        return Finding("Proxy", WARN, told, f"Unset {name.lower()}.")
    if not is_address(small or large):
        return Finding("Proxy", FAIL, f"The value of {name} is no address of a proxy.", f"Set {name} to http://host:port.")
    return None


def is_address(value: str) -> bool:
    """True for http://host:port and its kind, also without a scheme."""
    try:
        parts = urlsplit(value if "://" in value else f"http://{value}")
        return parts.scheme in ("http", "https", "socks4", "socks5", "socks5h") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        return False


def certificate_findings(environ: Mapping[str, str]) -> list[Finding]:
    """Whether each file of certificates that is named is there."""
    found = []
    for name in CERTIFICATE_VARIABLES:
        value = environ.get(name, "").strip()
        if value and not Path(value).exists():
            repair = f"Ask your IT for the file and correct {name}, or unset it."
            found.append(Finding("Certificates", FAIL, f"{name} is set, but the file that it names is not there.", repair))
        elif value:
            found.append(Finding("Certificates", OK, f"{name} is set and its file is there."))
    return found or [Finding("Certificates", OK, "No certificates of your own are set; the usual ones are used.")]


def offline_finding(environ: Mapping[str, str]) -> Finding:
    """Whether models may be fetched."""
    try:
        offline = TransferSettings.from_environment(environ).offline
    except OncoError as error:
        return Finding("Offline mode", UNKNOWN, "The settings of downloads cannot be read.", told_without_values(error))
    if not offline:
        return Finding("Offline mode", OK, "Offline mode is off: models can be fetched.")
    names = " and ".join(name for name in OFFLINE_VARIABLES if environ.get(name, "").strip())
    return Finding(
        "Offline mode", OK, "Offline mode is on: nothing is fetched.", f"To fetch models, unset {names}." if names else ""
    )


def told_without_values(error: OncoError) -> str:
    """The variable that an error names, without the value in it."""
    names = [word.strip(":;,.") for word in str(error).split() if word.isupper() and "_" in word]
    return f"Correct {names[0]}." if names else "Correct the settings of downloads."


def keyring_findings(answer: Mapping | None) -> list[Finding]:
    """Whether the system keeps secrets. answer: of the child process; None when it gave none in time."""
    use = "only tasks with a license number need one"
    if answer is None:
        told = "The keyring did not answer in time."
        return [Finding("Keyring", WARN, told, "Unlock the system's keyring, or set TOTALSEG_LICENSE_NUMBER when it is needed.")]
    if not answer.get("installed"):
        return [Finding("Keyring", OK, f"The package keyring is not installed; {use}.", "pip install keyring")]
    backend = str(answer.get("backend", ""))
    if not backend or backend.startswith(NO_KEEPER):
        told = f"The keyring has no place to keep secrets here; {use}."
        return [Finding("Keyring", WARN, told, "Set TOTALSEG_LICENSE_NUMBER for the run instead.")]
    return [Finding("Keyring", OK, f"Secrets are kept by {backend}.")]
