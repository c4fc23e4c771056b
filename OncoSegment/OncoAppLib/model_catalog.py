"""`oncosegment models list|search|show`: what there is to run or to install, found by words, told whole."""

from __future__ import annotations

import json
from pathlib import Path

from OncoAppLib.options import add_common


def add(actions) -> None:
    """The actions `list`, `search` and `show` of `models`."""
    listing = actions.add_parser("list", help="models that can be used now, and what is installed")
    listing.add_argument("--all", action="store_true", help="also everything that could be installed")
    listing.set_defaults(run=list_models)
    finding = actions.add_parser("search", help="find models by what they see, such as: liver lesion")
    add_conditions(finding)
    finding.set_defaults(run=search_models)
    showing = actions.add_parser("show", help="everything that is known of one model")
    showing.add_argument("id", help="as `models list --all` and `models search` give it")
    showing.set_defaults(run=show_model)
    for action in (listing, finding, showing):
        action.add_argument("--store", type=Path, metavar="DIR", help="folder of the models, if not the usual one")
        add_common(action)


def add_conditions(finding) -> None:
    """Options of `search`."""
    finding.add_argument("words", nargs="*", help="each must begin a word of the title, of a structure or of its code")
    finding.add_argument("--modality", default="", help="CT or MR")
    finding.add_argument("--body-part", default="", metavar="PART", help="such as spine, chest, abdomen, brain")
    finding.add_argument("--structure", default="", metavar="ID", help="that it must find, such as liver_lesion")
    finding.add_argument("--commercial", action="store_true", help="only what may be used commercially")
    finding.add_argument("--engine", default="", help="only of this engine or family, such as totalsegmentator")
    finding.add_argument("--own", action="store_true", help="only your own rows of the catalogue")
    finding.add_argument("--fits", action="store_true", help="only what this machine can run")


STATES = {
    "installed": "installed",
    "unverified": "installed, unverified",
    "damaged": "damaged",
    "partial": "begun",
    "missing": "not installed",
}
"""Words for the states of the store."""


def list_models(options) -> int:
    """Models that can be named in a request, and what is installed; with --all the whole catalogue."""
    from ModelManagerLib.catalog_search import search

    known, there = catalog_and_installed(options.store)
    hits = search(cards=known, installed=set(there))
    shown = [hit for hit in hits if options.all or hit.card.runnable or hit.installed]
    return tell(shown, there, as_json=options.json, more=0 if options.all else len(hits) - len(shown))


def search_models(options) -> int:
    """Rows that meet all conditions."""
    from ModelManagerLib.catalog import USER
    from ModelManagerLib.catalog_search import search, this_machine

    known, there = catalog_and_installed(options.store)
    hits = search(
        " ".join(options.words),
        modality=options.modality,
        body_part=options.body_part,
        structure=options.structure,
        commercial=True if options.commercial else None,
        engine=options.engine,
        origin=USER if options.own else "",
        fits=options.fits,
        machine=this_machine(),
        installed=set(there),
        cards=known,
    )
    return tell(hits, there, as_json=options.json)


def show_model(options) -> int:
    """All facts of one row, with how they are known."""
    from ModelManagerLib.catalog import find_card
    from ModelManagerLib.catalog_search import card_facts, reasons_against, this_machine

    known, there = catalog_and_installed(options.store)
    card = find_card(options.id, [one for one in known if one.origin == "user"])
    facts = {
        **card_facts(card),
        "installed": card.id in there,
        "state": there.get(card.id, "missing"),
        "unfit": reasons_against(card, this_machine()),
    }
    if options.json:
        print(json.dumps(facts))
        return 0
    for name, text in lines_of(card, facts):
        print(f"{name + ':' if name else '':<14} {text}")
    return 0


def catalog_and_installed(store: Path | None) -> tuple[tuple, dict[str, str]]:
    """The whole catalogue, and the state of each model that the store has something of; a user's file that cannot be used
    is told on stderr."""
    import sys

    from ModelManagerLib.store import installed, state
    from ModelManagerLib.store_places import store_root
    from ModelManagerLib.user_catalog import whole_catalog

    root = store or store_root()
    known, problem = whole_catalog(root)
    if problem:
        print(f"oncosegment: {problem}; your own models are left out", file=sys.stderr)
    ids = {one.card for one in installed(root)}
    return known, {card.id: state(card, root) for card in known if card.id in ids or card.embedded}


def tell(hits: list, states: dict[str, str], *, as_json: bool, more: int = 0) -> int:
    """Prints rows: id, title, then what a reader must know before taking it."""
    if as_json:
        print(json.dumps([{**hit.row(), "state": states.get(hit.card.id, "missing")} for hit in hits]))
        return 0
    width = max([len(hit.card.id) for hit in hits] + [4])
    for hit in hits:
        print(f"{hit.card.id:<{width}}  {hit.card.title}\n{'':<{width}}  {'; '.join(remarks(hit, states))}")
    if not hits:
        print("Nothing in the catalogue meets all of that; leave words or conditions out.")
    if more:
        print(f"{more} more can be installed: `oncosegment models search WORDS`, or `oncosegment models list --all`.")
    return 0


def remarks(hit, states: dict[str, str]) -> list[str]:
    """Short facts of a row for one line."""
    card = hit.card
    if card.runnable:
        found = [f"needs {card.needs}", license_text(card)]
    else:
        state = state_text(card, states.get(card.id, "missing"))
        found = [state, "any modality" if card.modality == "any" else card.modality, size_text(card), license_text(card)]
    if card.restricted:
        found.append(f"restricted: {card.restricted_reason}")
    if card.origin == "user":
        found.append("your own row")
    return [text for text in (*found, *(hit.unfit or ())) if text]


def state_text(card, state: str) -> str:
    """State in the store; of a model that comes with OncoSegment, that it does."""
    return "comes with OncoSegment" if card.embedded and state == "installed" else STATES[state]


def size_text(card) -> str:
    """Size of the download, or that no source gives it; "" where nothing is fetched."""
    if not card.sources:
        return ""
    return "size not known" if card.download_bytes is None else f"{card.download_bytes / 1e6:.0f} MB"


def license_text(card) -> str:
    """The license by name, with what it says of commercial use."""
    use = {True: "", False: ", not for commercial use", None: ", commercial use not clear"}[card.license.commercial]
    return f"{card.license.title}{use}"


def lines_of(card, facts: dict) -> list[tuple[str, str]]:
    """Name and text of each fact that is known, for people."""
    spacing = " x ".join(f"{part:g}" for part in card.spacing_mm) + " mm" if card.spacing_mm else ""
    lines = [
        (card.id, card.title),
        ("version", card.version),
        ("engine", f"{card.engine}, task {card.task}" if card.task else card.engine),
        ("images", card.modality),
        ("inputs", "; ".join(f"{one.name} ({one.title})" if one.title else one.name for one in card.channels)),
        ("spacing", spacing),
        ("finds", "; ".join(dict.fromkeys(label_text(one, card.overlapping) for one in facts["labels"]))),
        ("license", license_text(card)),
        ("", card.license.url),
        ("restricted", card.restricted_reason),
        ("needs", card.needs),
        ("here", "; ".join(facts["unfit"]) or "nothing speaks against it"),
        ("use", card.intended_use),
        ("limits", card.limits),
        ("cite", card.citation),
        ("about", card.homepage),
        ("state", state_text(card, facts["state"]) if card.place or card.embedded else ""),
        ("caution", card.caution),
        *(line for source in card.sources for line in source_lines(source)),
        *(("time", f"{one.seconds:g} s on {one.device.upper()}: {one.about}") for one in card.times),
        ("known by", "; ".join(f"{field} {mark}" for field, mark in card.marks.items())),
    ]
    return [(name, text) for name, text in lines if text]


def label_text(label: dict, overlapping: bool) -> str:
    """Our name of the structure; regions that overlap keep the network's name beside it."""
    name = label.get("structure_name", label["name"])
    return f"{label['name']} ({name})" if overlapping else name


def source_lines(source) -> list[tuple[str, str]]:
    """Address, size and hash of one download."""
    size = "size not known" if source.bytes is None else f"{source.bytes} bytes"
    hash_text = f"SHA-256 {source.sha256} ({source.sha256_source})" if source.sha256 else "SHA-256 not published"
    return [("fetched from", source.urls[0]), *(("", f"or {url}") for url in source.urls[1:]), ("", f"{size}; {hash_text}")]
