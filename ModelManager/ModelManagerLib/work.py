"""What the panel lets a process of its own do with the store: `do` is the target of `OncoLib.background`.

Downloads and locks use threads, which hardly run inside Slicer; and a verification of gigabytes must not hold the window.
"""

from __future__ import annotations

import json
from pathlib import Path

from ModelManagerLib import store
from ModelManagerLib.catalog import LicenseFacts, ModelCard
from ModelManagerLib.downloads import user_transfer_settings
from ModelManagerLib.licenses import text_sha256
from ModelManagerLib.user_catalog import whole_catalog
from OncoLib.background import RESULT
from OncoLib.errors import ModelError
from OncoLib.progress import CancelToken, Progress
from OncoLib.segmentation_files import write_json

JOB = "job.json"


def do(folder: Path, progress: Progress, cancel: CancelToken) -> None:
    """Runs the action of a job folder and leaves what it says in `RESULT`."""
    job = json.loads((folder / JOB).read_text(encoding="utf-8"))
    answer = ACTIONS[job["action"]](job, progress, cancel)
    write_json(folder / RESULT, answer)


def put(folder: Path, action: str, **options) -> None:
    """Writes a job; options are JSON values. accepted: SHA-256 of each license text that the user accepted."""
    write_json(folder / JOB, {"action": action, **options})


def known_card(job: dict) -> ModelCard:
    """The card that a job names, the user's own rows included."""
    return card_named(job["card"], Path(job["root"]))


def card_named(card_id: str, root: Path) -> ModelCard:
    """The card of that id, built in or the user's; ModelError otherwise."""
    cards, _problem = whole_catalog(root)
    for card in cards:
        if card.id == card_id:
            return card
    raise ModelError(f"no model {card_id!r} in the catalogue; `oncosegment models search WORDS` finds those there are")


def accepted(job: dict):
    """Answers for the user: yes to the very texts that were shown and accepted."""

    def answer(license: LicenseFacts) -> bool:
        return text_sha256(license) in job.get("accepted", ())

    return answer


def _install(job: dict, progress: Progress, cancel: CancelToken) -> dict:
    manifest = store.install(
        known_card(job),
        accept_license=accepted(job),
        root=Path(job["root"]),
        settings=user_transfer_settings(offline=job.get("offline", False)),
        accept_changed=job.get("accept_changed", False),
        progress=progress,
        cancel=cancel,
    )
    return {"card": manifest.card, "bytes": manifest.bytes, "verified": manifest.verified}


def _verify(job: dict, progress: Progress, cancel: CancelToken) -> dict:
    report = store.verify(known_card(job), root=Path(job["root"]), progress=progress, cancel=cancel)
    return {"card": report.card, "sound": report.sound, "sentence": report.sentence}


def _remove(job: dict, progress: Progress, cancel: CancelToken) -> dict:
    removal = store.remove(known_card(job), root=Path(job["root"]), progress=progress, cancel=cancel)
    return {"card": removal.card, "freed_bytes": removal.freed_bytes}


def _import(job: dict, progress: Progress, cancel: CancelToken) -> dict:
    root = Path(job["root"])
    brought = store.import_from(
        Path(job["path"]),
        accept_license=accepted(job),
        card=known_card(job) if job.get("card") else None,
        cards=whole_catalog(root)[0],
        root=root,
        progress=progress,
        cancel=cancel,
    )
    return {"cards": [one.card for one in brought.manifests], "skipped": [list(one) for one in brought.skipped]}


def _export(job: dict, progress: Progress, cancel: CancelToken) -> dict:
    root = Path(job["root"])
    cards = [card_named(one, root) for one in job["cards"]]
    overwrite = job.get("overwrite", False)
    store.export(cards, Path(job["path"]), overwrite=overwrite, root=root, progress=progress, cancel=cancel)
    return {"cards": job["cards"], "file": Path(job["path"]).name}


def _doctor(job: dict, progress: Progress, cancel: CancelToken) -> dict:
    from ModelManagerLib.doctor import Situation, examine
    from ModelManagerLib.finding import STATES
    from ModelManagerLib.support_file import support_facts

    situation = Situation()
    findings = examine(situation, progress=progress, cancel=cancel)
    ordered = sorted(findings, key=lambda one: STATES.index(one.state))
    support = support_facts(findings, situation.environ, situation.path, situation.home)
    return {"findings": [one.as_dict() for one in ordered], "support": support}


ACTIONS = {
    "doctor": _doctor,
    "install": _install, "verify": _verify, "remove": _remove, "import": _import, "export": _export}
