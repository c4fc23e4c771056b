"""`oncosegment models install|verify|remove|import|export|pin|unpin|confirm|path|where`: the store of models."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from OncoAppLib.options import add_common
from OncoLib.errors import ModelError, OncoError

ACTIONS = (
    ("install", "fetch models, verify them and put them into the store"),
    ("verify", "read every file of installed models and compare it (default: all)"),
    ("remove", "take models out of the store"),
    ("import", "take models from a file or folder that you have"),
    ("export", "pack installed models into one file for a machine without internet"),
    ("pin", "keep a model as it is: neither replaced nor removed"),
    ("unpin", "take the pin away"),
    ("confirm", "compare a model without a published hash with one that you have"),
    ("path", "the folder of the store, and its free space"),
    ("where", "the folder of an installed model"),
)


def add(actions) -> None:
    """All actions with their options."""
    made = {name: actions.add_parser(name, help=text) for name, text in ACTIONS}
    for name, count in (("install", "+"), ("verify", "*"), ("remove", "+"), ("export", "+")):
        made[name].add_argument("ids", nargs=count, metavar="ID", help="as `models list --all` and `models search` give it")
    for name in ("pin", "unpin", "confirm", "where"):
        made[name].add_argument("id", metavar="ID")
    made["confirm"].add_argument("sha256", help="of the download, from a source that you trust")
    made["export"].add_argument("--output", type=Path, required=True, metavar="FILE.zip")
    made["export"].add_argument("--overwrite", action="store_true", help="replace the file if it is there")
    made["import"].add_argument("path", type=Path, help="a file of `export`, a zip, weights, or a folder with one or many models")
    made["import"].add_argument("--as", dest="card", default="", metavar="ID", help="which model it is, where that is not seen")
    made["import"].add_argument("--new", default="", metavar="ID", help="your own model of nnU-Net or MONAI, under this new id")
    made["import"].add_argument("--link", action="store_true", help="share the files of a folder instead of copying them")
    made["remove"].add_argument("--dry-run", action="store_true", help="only say what that would free")
    made["install"].add_argument("--offline", action="store_true", help="fetch nothing")
    made["install"].add_argument("--accept-changed", action="store_true", help="take a file that differs from the first one seen")
    for name in ("install", "import"):
        made[name].add_argument("--accept-license", action="store_true", help="you have read the license and accept it")
    for name, action in made.items():
        action.add_argument("--store", type=Path, metavar="DIR", help="folder of the models, if not the usual one")
        add_common(action)
        action.set_defaults(run=globals()[f"run_{name}"])


def run_install(options) -> int:
    """One after the other; the first that fails stops."""
    from ModelManagerLib import store
    from ModelManagerLib.downloads import user_transfer_settings

    root, cards = root_and_cards(options)
    settings = user_transfer_settings(offline=options.offline)
    made = []
    for card in cards:
        try:
            with shown_progress(options) as (bar, cancel):
                made.append(
                    store.install(
                        card,
                        accept_license=asking(options, card),
                        root=root,
                        settings=settings,
                        accept_changed=options.accept_changed,
                        progress=bar,
                        cancel=cancel,
                    )
                )
        except OncoError as error:
            return stopped(options, error, card, made)
        if not options.json:
            known = made[-1].verified_by or "no published hash: unverified until you `models confirm` it"
            print(f"{card.id}: installed, {made[-1].bytes / 1e6:.1f} MB ({known})")
    if options.json:
        print(json.dumps([one.to_json() for one in made]))
    return 0


def stopped(options, error: OncoError, card, made: list) -> int:
    """Says at which model it stopped, and what was installed before."""
    if options.json:
        answer = {"error": str(error), "kind": type(error).__name__, "exit_code": error.exit_code, "model": card.id}
        print(json.dumps({**answer, "done": [one.card for one in made]}))
    else:
        print(f"oncosegment: {card.id}: {error}", file=sys.stderr)
    return error.exit_code


def run_verify(options) -> int:
    """Exit code 4 when one is damaged."""
    from ModelManagerLib import store
    from ModelManagerLib.embedded import embedded_cards
    from ModelManagerLib.work import card_named

    root = root_of(options)
    ids = options.ids or [one.card for one in store.installed(root)] + [one.id for one in embedded_cards()]
    reports = []
    for name in ids:
        with shown_progress(options) as (bar, cancel):
            reports.append(store.verify(card_named(name, root), root=root, progress=bar, cancel=cancel))
        if not options.json:
            print(reports[-1].sentence)
    if options.json:
        print(json.dumps([{"card": one.card, "sound": one.sound, "sentence": one.sentence} for one in reports]))
    return 0 if all(one.sound for one in reports) else 4


def run_remove(options) -> int:
    """Says what was, or would be, freed."""
    from ModelManagerLib import store

    root, cards = root_and_cards(options)
    removals = [store.remove(card, dry_run=options.dry_run, root=root) for card in cards]
    if options.json:
        print(json.dumps([vars(one) for one in removals]))
        return 0
    for one in removals:
        word = "removed" if one.done else "would be removed"
        print(f"{one.card}: {word}, {one.files} files, {one.freed_bytes / 1e6:.1f} MB")
    return 0


def run_import(options) -> int:
    """Takes in what is recognized."""
    from ModelManagerLib import store
    from ModelManagerLib.user_catalog import whole_catalog
    from ModelManagerLib.work import card_named

    root = root_of(options)
    if options.new:
        return import_new(options, root)
    with shown_progress(options) as (bar, cancel):
        brought = store.import_from(
            options.path,
            accept_license=asking(options),
            card=card_named(options.card, root) if options.card else None,
            cards=whole_catalog(root)[0],
            link=options.link,
            root=root,
            progress=bar,
            cancel=cancel,
        )
    if options.json:
        print(json.dumps({"models": [one.to_json() for one in brought.manifests], "skipped": brought.skipped}))
        return 0 if brought.manifests else ModelError.exit_code
    for one in brought.manifests:
        print(f"{one.card}: imported, {one.bytes / 1e6:.1f} MB ({one.verified_by or 'unverified: no published hash'})")
    for name, reason in brought.skipped:
        print(f"{name}: left out, {reason}")
    if not brought.manifests:
        print("oncosegment: nothing was imported", file=sys.stderr)
    return 0 if brought.manifests else ModelError.exit_code


def import_new(options, root: Path) -> int:
    """A model that the catalogue does not know, with a new row for it."""
    from ModelManagerLib.own_models import import_own
    from ModelManagerLib.work import card_named
    from OncoSegmentLib.experts.engines import MODELS

    with shown_progress(options) as (bar, cancel):
        found = import_own(
            options.path,
            options.new,
            accept_license=asking(options),
            root=root,
            link=options.link,
            progress=bar,
            cancel=cancel,
        )
    if options.json:
        print(json.dumps({"models": [found.to_json()], "skipped": []}))
    else:
        model = MODELS[card_named(found.card, root).engine]
        print(f"{found.card}: imported, {found.bytes / 1e6:.1f} MB; run it with --model {model} --weights {found.card}")
    return 0


def run_export(options) -> int:
    """One zip with an index of hashes."""
    from ModelManagerLib import store

    root, cards = root_and_cards(options)
    with shown_progress(options) as (bar, cancel):
        file = store.export(cards, options.output, overwrite=options.overwrite, root=root, progress=bar, cancel=cancel)
    answer = {"file": str(file), "bytes": file.stat().st_size, "models": [card.id for card in cards]}
    print(json.dumps(answer) if options.json else f"Written: {file}, {answer['bytes'] / 1e6:.1f} MB")
    return 0


def run_pin(options) -> int:
    """Pins."""
    from ModelManagerLib import store

    return told_manifest(options, store.pin(one_card(options), root=root_of(options)), "pinned")


def run_unpin(options) -> int:
    """Takes the pin away."""
    from ModelManagerLib import store

    return told_manifest(options, store.unpin(one_card(options), root=root_of(options)), "no longer pinned")


def run_confirm(options) -> int:
    """Marks as verified by a hash of the user's."""
    from ModelManagerLib import store

    return told_manifest(options, store.confirm(one_card(options), options.sha256, root=root_of(options)), "confirmed")


def run_path(options) -> int:
    """Folder and free space."""
    from ModelManagerLib import store

    root = root_of(options)
    facts = {"store": str(root), "free_bytes": store.free_space(root), "models": len(store.installed(root))}
    print(json.dumps(facts) if options.json else f"{root}\n{facts['models']} models, {facts['free_bytes'] / 1e9:.1f} GB free")
    return 0


def run_where(options) -> int:
    """Folder of one model."""
    from ModelManagerLib import store

    place = store.where(one_card(options), root_of(options))
    print(json.dumps({"id": options.id, "folder": str(place)}) if options.json else place)
    return 0


def told_manifest(options, manifest, word: str) -> int:
    """Prints what a manifest is now."""
    print(json.dumps(manifest.to_json()) if options.json else f"{manifest.card}: {word}")
    return 0


def root_of(options) -> Path:
    """The store that the options name, or the user's."""
    from ModelManagerLib.store_places import store_root

    return options.store.absolute() if options.store else store_root()


def root_and_cards(options) -> tuple[Path, list]:
    """The store and the cards that the options name, before any work."""
    from ModelManagerLib.work import card_named

    root = root_of(options)
    if "totalsegmentator" in options.ids:
        raise ModelError(
            "TotalSegmentator has weights for each of its networks; `oncosegment models tasks` shows its tasks, and a run says"
            " which are missing, with the command that installs them. The task total: totalsegmentator-291 to -295"
        )
    return root, [card_named(name, root) for name in dict.fromkeys(options.ids)]


def one_card(options):
    """The card that the options name."""
    from ModelManagerLib.work import card_named

    return card_named(options.id, root_of(options))


def asking(options, card=None):
    """Asks for the license on a terminal; elsewhere `--accept-license` must be given."""

    answers: dict[tuple, bool] = {}

    def answer(license) -> bool:
        """The same license of many models is asked for once."""
        if options.accept_license:
            return True
        key = (license.title, license.url, license.text)
        if key not in answers:
            answers[key] = ask(license)
        return answers[key]

    def ask(license) -> bool:
        subject = f" of {card.id}" if card is not None else ""
        print(f"License{subject}: {license.title}\n{license.url}\n{license.text}", file=sys.stderr)
        if options.json or not sys.stdin.isatty():
            print("Give --accept-license when you have read and accept it.", file=sys.stderr)
            return False
        print("Accept it? [y/N] ", end="", file=sys.stderr, flush=True)
        return sys.stdin.readline().strip().lower() in ("y", "yes")

    return answer


class shown_progress:
    """A progress bar and a token that Ctrl-C sets, for one piece of work."""

    def __init__(self, options) -> None:
        from OncoAppLib.terminal import ProgressBar

        self._bar, self._quiet = ProgressBar(quiet=options.json), options.json

    def __enter__(self):
        from OncoAppLib.verbs import cancel_on_signals

        return self._bar, cancel_on_signals(quiet=self._quiet)

    def __exit__(self, *_what) -> None:
        self._bar.close()
