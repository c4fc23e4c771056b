"""Run by the doctor in a process of its own: asks one library about itself and prints one line of JSON."""

from __future__ import annotations

import json
import sys


def torch_facts() -> dict:
    """Build, devices and memory; "error" when torch cannot be imported."""
    try:
        import torch
    except ImportError as error:
        return {"installed": not missing(error, "torch"), "error": type(error).__name__}
    except Exception as error:
        return {"installed": True, "error": type(error).__name__}
    facts = {"installed": True, "version": torch.__version__, "cuda": torch.version.cuda, "hip": torch.version.hip, "devices": []}
    facts["mps"] = bool(getattr(torch.backends, "mps", None) and torch.backends.mps.is_available())
    try:
        facts["available"] = torch.cuda.is_available()
        facts["architectures"] = torch.cuda.get_arch_list() if facts["available"] else []
        facts["devices"] = [device(torch, number) for number in range(torch.cuda.device_count())] if facts["available"] else []
    except Exception as error:
        facts["available"], facts["cuda_error"] = False, type(error).__name__
    facts["torchvision"] = torchvision_state()
    return facts


def device(torch, number: int) -> dict:
    """Name, capability and memory of one GPU; whether a small sum on it comes out."""
    found = {"name": torch.cuda.get_device_name(number), "capability": list(torch.cuda.get_device_capability(number))}
    try:
        free, total = torch.cuda.mem_get_info(number)
        found |= {"free": free, "total": total}
        found["works"] = float((torch.ones(8, device=f"cuda:{number}") * 2).sum().item()) == 16.0
    except Exception as error:
        found |= {"works": False, "error": type(error).__name__}
    return found


def torchvision_state() -> str:
    """ "works", "missing", or the kind of error that its import ends in."""
    try:
        import torchvision  # noqa: F401
    except ImportError as error:
        return "missing" if missing(error, "torchvision") else type(error).__name__
    except Exception as error:
        return type(error).__name__
    return "works"


def missing(error: ImportError, name: str) -> bool:
    """True when the package itself is not there, not something within it."""
    return isinstance(error, ModuleNotFoundError) and error.name == name


def keyring_facts() -> dict:
    """The backend's class."""
    try:
        import keyring
    except ImportError:
        return {"installed": False}
    backend = type(keyring.get_keyring())
    return {"installed": True, "backend": f"{backend.__module__}.{backend.__name__}"}


if __name__ == "__main__":
    print(json.dumps({"torch": torch_facts, "keyring": keyring_facts}[sys.argv[1]]()))
