"""Reading a catalogue file: the schema, our own check of it against the library, and errors that name file and row."""

from __future__ import annotations

import copy
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ModelManagerLib import schema_check
from ModelManagerLib.catalog_reading import BUILT_IN_FILES, read_catalog, schema
from OncoLib.errors import InputError
from OncoLib.resources import resource_path

LICENSE = {"id": "MIT", "title": "MIT License", "commercial": True, "share_alike": False, "text": "MIT."}
ROW = {
    "id": "mine",
    "title": "Mine",
    "version": "1",
    "engine": "nnunetv2",
    "license": "mit",
    "marks": {},
    "channels": [{"name": "CT", "patterns": ["ct"]}],
    "labels": {"1": "liver"},
    "spacing_mm": [1, 1, 2.5],
    "sources": [{"urls": ["https://example.org/a.zip"], "bytes": 5, "sha256": "a" * 64, "format": "zip"}],
    "place": "files/mine",
}
DOCUMENT = {"schema": 1, "licenses": {"mit": LICENSE}, "cards": [ROW]}


def written(tmp_path, document) -> object:
    path = tmp_path / "catalog.json"
    path.write_text(document if isinstance(document, str) else json.dumps(document), "utf-8")
    return path


def changed(**values) -> dict:
    document = copy.deepcopy(DOCUMENT)
    document["cards"][0].update(values)
    return document


def test_a_row_that_keeps_the_schema_is_read(tmp_path):
    (found,) = read_catalog(written(tmp_path, DOCUMENT))
    assert (found.id, found.license.id, found.spacing_mm, found.download_bytes) == ("mine", "MIT", (1, 1, 2.5), 5)
    assert found.channels[0].patterns == ("ct",) and found.labels[0].value == 1 and found.origin == "built in"
    assert hash(found) == hash(read_catalog(written(tmp_path, DOCUMENT))[0])
    pair = changed(channels=[{"name": "T1", "missing": "zeros"}, {"name": "T2", "missing": "T1"}, {"name": "FLAIR"}])
    assert [one.missing for one in read_catalog(written(tmp_path, pair))[0].channels] == ["zeros", "T1", ""]


SOURCE = ROW["sources"][0]
FAULTS = [
    (changed(channels=[{"name": "T1", "missing": "T2"}]), "the channel 'T1' may be replaced by 'T2', which is neither zeros nor"),
    (changed(channels=[{"name": "T1", "missing": "T1"}]), "the channel 'T1' may be replaced by 'T1', which is neither zeros nor"),
    (changed(channels=[{"name": "T1", "missing": ""}]), "row 1 (mine): channels[0].missing is empty"),
    (changed(engine=3), "catalog.json: row 1 (mine): engine is 3; wanted string"),
    (changed(colour="red"), "row 1 (mine): colour is not known; wanted id, title"),
    (changed(sources=[{**SOURCE, "sha256": "a" * 63}]), "row 1 (mine): sources[0].sha256 is 'aaa"),
    (changed(sources=[{**SOURCE, "urls": ["http://example.org/a"]}]), "does not fit the pattern ^https://"),
    (changed(sources=[{**SOURCE, "sha256": "a" * 64 + "\n"}]), "sources[0].sha256 is 'aaa"),
    (changed(sources=[{**SOURCE, "urls": ["https://example.org/a.zip\n"]}]), "does not fit the pattern ^https://"),
    (changed(spacing_mm=[1, 1, float("inf")]), "catalog.json: Infinity is no number of JSON"),
    ("[" * 100_000, "catalog.json: it is nested too deeply"),
    (changed(sources=[{**SOURCE, "urls": []}]), "sources[0].urls has 0 items"),
    (changed(sources=[{**SOURCE, "bytes": -1}]), "sources[0].bytes is -1; wanted at least 0"),
    (changed(sources=[{**SOURCE, "bytes": True}]), "sources[0].bytes is True; wanted integer or null"),
    (changed(spacing_mm=[1, 1]), "spacing_mm has 2 items; wanted 3 to 3"),
    (changed(modality="CAT"), "modality is 'CAT'; wanted one of CT, MR"),
    (changed(labels={"one": "liver"}), "the name 'one' in cards[0].labels"),
    (changed(license="gpl"), "row 1 (mine) names the license 'gpl', which the file does not describe"),
    (changed(license={"id": "MIT"}), "license has no 'title'"),
    (changed(marks={"labels": "sure"}), "marks.labels is 'sure'; wanted one of confirmed in source or package"),
    (changed(place="files/../../etc"), "leads out of its folder"),
    (changed(place="elsewhere/mine"), "is none of the store's; wanted a folder in nnunet/results/"),
    (changed(sources=[{**SOURCE, "format": "file"}]), "is one file and save_as does not name it"),
    (changed(sources=[{**SOURCE, "save_as": "/etc/passwd"}]), "is an absolute path"),
    (changed(place=""), "files are named but no place for them"),
    (changed(restricted=True), "a restricted card has a reason"),
    (changed(license={**LICENSE, "number_needed": True}), "need a license number are fetched by the package itself"),
    (changed(other_hashes=[{"of": "archive", "algorithm": "md5", "value": "a" * 40}]), "the md5 of archive has another length"),
    ({**DOCUMENT, "cards": [ROW, ROW]}, "row 2 (mine) uses an id that is taken"),
    ({**DOCUMENT, "schema": 2}, "schema is 2; wanted one of 1"),
    ({"schema": 1}, "the file has no 'cards'"),
    ([], "the file is []; wanted object"),
    ('{"schema": 1,\n "cards": [}', "catalog.json, line 2: "),
    ('{"schema": 1, "schema": 1, "cards": []}', "the key 'schema' is there twice in one object"),
    (changed(sources=[{**SOURCE, "root": "../../../../Documents"}]), "the path '../../../../Documents' leads out of its folder"),
    (changed(sources=[{**SOURCE, "root": "/tmp"}]), "is an absolute path"),
    (changed(sources=[{**SOURCE, "format": "file", "save_as": "."}]), "the path '.' has an empty part"),
    (changed(sources=[{**SOURCE, "format": "file", "save_as": "con.pth"}]), "is a device name of Windows"),
    (changed(sources=[{**SOURCE, "format": "file", "save_as": "a/"}]), "ends with a slash"),
    (changed(place="files/a."), "ends with a dot"),
    (changed(place="files/con"), "is a device name of Windows"),
    (changed(place="files/./a"), "has an empty part"),
    (changed(id="con"), "the id is a device name of Windows"),
    (changed(id="licenses"), "the id is kept for the store's own files"),
    (changed(requires={"packages": ["torch==2.8"]}), "requires.packages[0] is 'torch==2.8', which does not fit"),
    (changed(labels={"9" * 5000: "liver"}), "the name '99999"),
    (changed(sources=[{**SOURCE, "bytes": 10**400}]), "a number has 401 digits; at most 18 are read"),
    ('{"schema": 1e400, "cards": []}', "a number, 1e400, is too large"),
    ({**DOCUMENT, "cards": [ROW, {**ROW, "id": "b", "place": "files/Mine/x"}]}, "the place of mine or one inside the other"),
    ("\ud800".encode("utf-8", "surrogatepass").decode("latin-1"), "catalog.json, line 1"),
]


@pytest.mark.parametrize(("document", "sentence"), FAULTS, ids=[sentence[:40] for _, sentence in FAULTS])
def test_a_fault_is_one_sentence_that_names_file_and_row(tmp_path, document, sentence):
    with pytest.raises(InputError) as caught:
        read_catalog(written(tmp_path, document))
    text = str(caught.value)
    assert text.startswith("catalog.json") and sentence in text and "\n" not in text and str(tmp_path) not in text
    assert len(text) <= 500


def test_a_file_that_is_no_text_is_told(tmp_path):
    path = tmp_path / "catalog.json"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="^catalog.json: "):
        read_catalog(path)


def test_the_schema_is_one_and_the_built_in_files_keep_it():
    jsonschema = pytest.importorskip("jsonschema", reason="the extra dev is not installed")
    import ModelManagerLib.catalog_reading as module

    jsonschema.Draft202012Validator.check_schema(schema())
    validator = jsonschema.Draft202012Validator(schema())
    for name in BUILT_IN_FILES:
        document = json.loads(resource_path(module.__file__, "Catalog", name).read_text("utf-8"))
        assert list(validator.iter_errors(document)) == []


VALUES = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-2, 3),
        st.floats(-2, 2, allow_nan=False),
        st.sampled_from(["", "CT", "1", "mit", "a" * 64, "https://a.b/c", "zip", "not found", "Ä"]),
    ),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["1", "name", "id", "text", "x"]), inner, max_size=3)
    ),
    max_leaves=5,
)


def places_in(value, path=()):
    """Path of every part of a document."""
    yield path
    for key, part in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from places_in(part, (*path, key))


def replaced(document, path, value):
    """The document with one part replaced."""
    if not path:
        return value
    found = copy.copy(document)
    found[path[0]] = replaced(document[path[0]], path[1:], value)
    return found


FULL = changed(
    family="mine",
    files=[{"path": "a", "bytes": None, "sha256": None, "source": "me"}],
    other_hashes=[{"of": "a", "algorithm": "md5", "value": "a" * 32}],
    times=[{"device": "gpu", "seconds": 1, "about": "x"}],
    requires={"memory_gb": 1, "packages": ["torch"]},
    body_parts=["spine"],
    marks={"labels": "not found"},
)


@settings(max_examples=300, deadline=None)
@given(path=st.sampled_from(list(places_in(FULL))), value=VALUES)
def test_our_own_check_finds_a_fault_exactly_when_the_library_does(path, value):
    jsonschema = pytest.importorskip("jsonschema", reason="the extra dev is not installed")
    document = replaced(FULL, path, value)
    theirs = jsonschema.Draft202012Validator(schema()).is_valid(document)
    assert (list(schema_check.problems(document, schema())) == []) is theirs


def test_a_schema_that_is_only_half_understood_is_refused():
    with pytest.raises(ValueError, match="oneOf"):
        list(schema_check.problems({}, {"oneOf": []}))
