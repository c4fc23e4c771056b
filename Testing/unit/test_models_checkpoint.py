"""Checkpoints: what stock files hold is read, and nothing that a hostile file asks for is done."""

from __future__ import annotations

import collections
import hashlib
import io
import json
import os
import pickle
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from helpers import PACKAGE_PARENTS, no_file_over
from ModelManagerLib import checkpoint, checkpoint_cache, checkpoint_twin
from ModelManagerLib.checkpoint import inference_checkpoint, load_torchscript, safe_load, safe_torch_load, safetensors_twin
from ModelManagerLib.checkpoint_pickle import examine
from ModelManagerLib.checkpoint_plans import require_plain_plans
from ModelManagerLib.checkpoint_symbols import Call, Storage
from OncoLib.errors import ModelError

TORCH_PICKLE = "archive/data.pkl"
POSIX = pytest.mark.skipif(os.name != "posix", reason="who can write to a folder is told by its mode there")


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch) -> Path:
    """The folder of twins, not there yet; never that of the user who runs the tests."""
    folder = tmp_path_factory.mktemp("home") / "checkpoints"
    monkeypatch.setenv("ONCOSEGMENT_CHECKPOINTS", str(folder))
    return folder


def torch_or_skip():
    """torch; the test skips without it."""
    return pytest.importorskip("torch", reason="PyTorch is not installed (extra 'ai')")


def stock_checkpoint(**changes) -> dict:
    """Content as nnU-Net 2.8's trainer saves it (nnUNetTrainer.save_checkpoint): optimizer, logging, arguments and all."""
    torch = torch_or_skip()
    torch.manual_seed(5)
    network = torch.nn.Sequential(torch.nn.Conv3d(1, 2, 3), torch.nn.InstanceNorm3d(2, affine=True), torch.nn.Conv3d(2, 3, 1))
    optimizer = torch.optim.SGD(network.parameters(), 1e-2, weight_decay=3e-5, momentum=0.99, nesterov=True)
    network(torch.randn(2, 1, 5, 5, 5)).sum().backward()
    optimizer.step()
    content = {
        "network_weights": network.state_dict(),
        "optimizer_state": optimizer.state_dict(),
        "grad_scaler_state": {"scale": 65536.0, "growth_factor": 2.0, "_growth_tracker": 7},
        "logging": {
            "mean_fg_dice": [np.float64(0.25), np.float32(0.5)],
            "dice_per_class_or_region": [[np.float32(0.125), np.nan]],
            "epochs": np.arange(6, dtype=np.int32).reshape(2, 3),
        },
        "_best_ema": np.float32(0.17241107),
        "current_epoch": 2,
        "init_args": {
            "plans": {"configurations": {"3d_fullres": {"patch_size": [32, 32, 32]}}},
            "configuration": "3d_fullres",
            "fold": 0,
            "dataset_json": {"labels": {"background": 0}},
            "device": torch.device("cuda"),
        },
        "trainer_name": "nnUNetTrainer",
        "inference_allowed_mirroring_axes": (0, 1, 2),
    }
    return {**content, **changes}


def saved(path: Path, content) -> Path:
    """The content as `torch.save` writes it."""
    path.parent.mkdir(exist_ok=True)
    torch_or_skip().save(content, path)
    return path


def archive(path: Path, data: bytes, *, name: str = TORCH_PICKLE, extra: dict[str, bytes] | None = None, **options) -> Path:
    """An archive as torch's with this pickle."""
    with zipfile.ZipFile(path, "w", **options) as out:
        out.writestr(name, data)
        for member, content in {"archive/version": b"3\n", "archive/byteorder": b"little", **(extra or {})}.items():
            out.writestr(member, content)
    return path


# What stock files hold


def test_a_stock_checkpoint_is_read_as_torch_itself_reads_it(tmp_path):
    torch = torch_or_skip()
    path = saved(tmp_path / "checkpoint_final.pth", stock_checkpoint())
    found, wanted = safe_load(path), torch.load(path, weights_only=False, map_location="cpu")
    assert found.keys() == wanted.keys()
    for name, value in wanted["network_weights"].items():
        assert torch.equal(found["network_weights"][name], value), name
    momentum = [state["momentum_buffer"] for state in wanted["optimizer_state"]["state"].values()]
    assert all(torch.equal(found["optimizer_state"]["state"][at]["momentum_buffer"], one) for at, one in enumerate(momentum))
    assert found["_best_ema"] == wanted["_best_ema"] and found["_best_ema"].dtype == np.float32
    np.testing.assert_array_equal(found["logging"]["epochs"], [[0, 1, 2], [3, 4, 5]])
    assert found["logging"]["mean_fg_dice"] == [0.25, 0.5] and np.isnan(found["logging"]["dice_per_class_or_region"][0][1])
    assert found["init_args"] == wanted["init_args"]


def test_names_of_numpy_1_are_read_too(tmp_path):
    path = saved(tmp_path / "new.pth", {"best": np.float64(0.75)})
    with zipfile.ZipFile(path) as new:
        data = new.read("new/data.pkl")
    assert b"numpy._core" in data or b"numpy.core" in data
    for module in (b"numpy.core", b"numpy._core"):
        renamed = data.replace(b"numpy._core", b"numpy.core").replace(b"numpy.core", module)
        assert safe_load(archive(tmp_path / "other.pth", renamed)) == {"best": 0.75}


def test_tensor_types_and_shapes_survive(tmp_path):
    torch = torch_or_skip()
    base = torch.arange(24, dtype=torch.float32)
    content = {
        "half": torch.ones(2, 3, dtype=torch.float16),
        "brain": torch.ones(3, dtype=torch.bfloat16),
        "whole": torch.arange(4),
        "truth": torch.tensor([True, False]),
        "turned": base.reshape(4, 6).T,
        "part": base[3:9],
        "empty": torch.zeros(0, 3),
        "number": torch.tensor(2.5),
        "parameter": torch.nn.Parameter(torch.ones(2)),
    }
    path = saved(tmp_path / "weights.pt", content)
    for found in (safe_load(path), inference_checkpoint(path), inference_checkpoint(path)):
        assert list(found) == list(content)
        for name, value in content.items():
            assert torch.equal(found[name], value) and found[name].dtype == value.dtype, name


# Hash first


def test_another_hash_is_refused_before_the_file_is_looked_into(tmp_path, monkeypatch):
    path = tmp_path / "checkpoint_final.pth"
    path.write_bytes(b"anything")
    looked = []
    monkeypatch.setattr(checkpoint, "open_archive", lambda *_: looked.append(1))
    wanted = hashlib.sha256(b"the published file").hexdigest()
    for load in (safe_load, inference_checkpoint, safetensors_twin):
        with pytest.raises(ModelError, match=f"wanted {wanted[:12]}; it is damaged or another file"):
            load(path, wanted)
    with pytest.raises(ModelError, match="wanted"):
        load_torchscript(path, wanted, confirmed=True)
    assert not looked


def test_the_right_hash_is_taken_in_capitals_too(tmp_path):
    path = saved(tmp_path / "weights.pt", {"a": torch_or_skip().ones(1)})
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert safe_load(path, digest).keys() == safe_load(path, digest.upper()).keys() == {"a"}


# Hostile files: each would leave a marker if it ran


class Reduced:
    """Pickles as a call."""

    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


class Harmless:
    """A class whose state runs something through its setter."""

    def __setstate__(self, state):
        os.system(state)


def run_me(marker: Path) -> str:
    """A command that makes the marker."""
    return f"{sys.executable} -c \"open(r'{marker}', chr(119)).close()\""


def global_call(module: str, name: str, text: str) -> bytes:
    """Instructions of protocol 2 that call module.name(text)."""
    encoded = text.encode()
    return f"c{module}\n{name}\n".encode() + b"X" + len(encoded).to_bytes(4, "little") + encoded + b"\x85R"


def by_build(marker: Path) -> bytes:
    """BUILD on an instance of a class of ours."""
    data = f"c{Harmless.__module__}\nHarmless\n)\x81".encode()
    text = run_me(marker).encode()
    return b"\x80\x02" + data + b"X" + len(text).to_bytes(4, "little") + text + b"b."


def by_state_of_an_allowed_class(marker: Path) -> bytes:
    """An ordered dictionary whose attributes are set to a function: its methods would be the file's."""
    return b"\x80\x02ccollections\nOrderedDict\n)R}X\x05\x00\x00\x00items" + global_call("os", "system", run_me(marker)) + b"sb."


def by_lookup_in_encode(marker: Path) -> bytes:
    """An allowed function with arguments that no checkpoint has."""
    return b"\x80\x02c_codecs\nencode\nX\x03\x00\x00\x00abcX\x08\x00\x00\x00punycode\x86R."


def laughs() -> bytes:
    """Thirty lists, each of which holds the one before ten times: 10^30 values when they are read."""
    data = b"\x80\x02]q\x00"
    for level in range(1, 31):
        data += b"]q" + bytes([level]) + b"(" + (b"h" + bytes([level - 1])) * 10 + b"e"
    return data + b"."


def ring() -> bytes:
    """A list that holds itself."""
    return b"\x80\x02]q\x00h\x00a."


def deep() -> bytes:
    """A list in a list, a hundred thousand times."""
    return b"\x80\x02" + b"]" * 100_000 + b"a" * 99_999 + b"."


def object_array(marker: Path) -> bytes:
    """numpy's array of Python objects, one of which is a call."""
    return pickle.dumps({"network_weights": np.array([Reduced(os.system, run_me(marker))], dtype=object)}, 2)


def dill_like(marker: Path) -> bytes:
    """How dill makes functions: its own helper with marshaled code."""
    return b"\x80\x02" + global_call("dill._dill", "_create_code", run_me(marker)) + b"."


HOSTILE = {
    "system by REDUCE": lambda marker: pickle.dumps(Reduced(os.system, run_me(marker)), 2),
    "system in protocol 4": lambda marker: pickle.dumps({"a": Reduced(os.system, run_me(marker))}, 4),
    "system in protocol 0": lambda marker: pickle.dumps(Reduced(os.system, run_me(marker)), 0),
    "system by INST": lambda marker: b"(S" + repr(run_me(marker)).encode() + b"\nios\nsystem\n.",
    "system by BUILD": by_build,
    "by the state of an allowed class": by_state_of_an_allowed_class,
    "nested in a list in an allowed class": lambda marker: pickle.dumps(
        collections.OrderedDict(network_weights=[[collections.OrderedDict(a=[Reduced(os.system, run_me(marker))])]]), 2
    ),
    "eval": lambda marker: b"\x80\x02" + global_call("builtins", "eval", f"open({str(marker)!r}, 'w')") + b".",
    "getattr": lambda marker: pickle.dumps(Reduced(getattr, Path, "home"), 2),
    "an object array": object_array,
    "dill": dill_like,
    "a call to punycode": by_lookup_in_encode,
    "a persistent id of its own": lambda marker: b"\x80\x02" + global_call("os", "system", run_me(marker)) + b"Q.",
    "a persistent id as text": lambda marker: b"Psystem\n.",
    "billion laughs": lambda marker: laughs(),
    "a ring": lambda marker: ring(),
    "deep nesting": lambda marker: deep(),
    "an allocation": lambda marker: b"\x80\x02cbuiltins\nbytearray\nJ\xff\xff\xff\x7f\x85R.",
    "a huge memo index": lambda marker: b"\x80\x02]r\xff\xff\xff\xff",
    "an empty stack": lambda marker: b"\x80\x02R.",
    "cut off": lambda marker: pickle.dumps({"a": [1, 2, 3]}, 2)[:-4],
    "a second pickle behind": lambda marker: pickle.dumps({}, 2) + pickle.dumps(Reduced(os.system, run_me(marker)), 2),
    "nothing": lambda marker: b"",
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_pickle_does_nothing_and_is_told_in_one_sentence(tmp_path, kind):
    marker = tmp_path / "marker"
    path = archive(tmp_path / "checkpoint_final.pth", HOSTILE[kind](marker))
    before = sorted(tmp_path.iterdir())
    for load in (safe_load, inference_checkpoint, safetensors_twin):
        with pytest.raises(ModelError) as caught:
            load(path)
        assert str(caught.value).startswith("checkpoint_final.pth was not loaded: it")
        assert "\n" not in str(caught.value) and len(str(caught.value)) < 300
    assert not marker.exists() and sorted(tmp_path.iterdir()) == before


def test_the_marker_would_appear_if_such_a_file_were_unpickled(tmp_path):
    marker = tmp_path / "marker"
    pickle.loads(HOSTILE["system by REDUCE"](marker))
    assert marker.exists()


@pytest.mark.parametrize(
    ("kind", "named"),
    [
        ("system by REDUCE", f"{os.system.__module__}.system"),
        ("system in protocol 4", f"{os.system.__module__}.system"),
        ("system by INST", "os.system"),
        ("nested in a list in an allowed class", f"{os.system.__module__}.system"),
        ("eval", "builtins.eval"),
        ("dill", "dill._dill._create_code"),
        ("an allocation", "builtins.bytearray"),
    ],
)
def test_the_sentence_names_what_was_refused(tmp_path, kind, named):
    path = archive(tmp_path / "a.pth", HOSTILE[kind](tmp_path / "marker"))
    with pytest.raises(ModelError, match=rf"asks for {named.replace('.', '[.]')}, which is no part of network weights"):
        safe_load(path)


def test_a_class_of_the_file_s_own_is_never_imported(tmp_path, monkeypatch):
    module = tmp_path / "planted_module.py"
    module.write_text(f"open({str(tmp_path / 'marker')!r}, 'w').close()\nclass Thing: pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModelError, match="planted_module.Thing"):
        safe_load(archive(tmp_path / "a.pth", b"\x80\x02cplanted_module\nThing\n)R."))
    assert not (tmp_path / "marker").exists() and "planted_module" not in sys.modules


def storage(key: str, elements: int) -> bytes:
    """Instructions that ask for a storage of float32."""
    name = key.encode()
    return (
        b"(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX" + len(name).to_bytes(4, "little") + name
        + b"X\x03\x00\x00\x00cpuJ" + elements.to_bytes(4, "little") + b"tQ"
    )  # fmt: skip


def tensor(key: str, elements: int, size: int, stride: int, offset: int = 0) -> bytes:
    """Instructions that make a tensor of one dimension."""
    numbers = [b"J" + number.to_bytes(4, "little", signed=True) for number in (offset, size, stride)]
    return (
        b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage(key, elements) + numbers[0] + numbers[1] + b"\x85" + numbers[2]
        + b"\x85\x89ccollections\nOrderedDict\n)RtR"
    )  # fmt: skip


@pytest.mark.parametrize(
    ("made", "fits"),
    [
        (tensor("0", 4, 4, 1), True),
        (tensor("0", 4, 2, 2, 1), True),
        (tensor("0", 5, 5, 1), False),  # the record holds four numbers
        (tensor("1", 4, 4, 1), False),  # there is no such record
        (tensor("0", 4, 4, 1, 1), False),  # one over the end
        (tensor("0", 4, 2**30, 0), False),  # one number, a thousand million times
        (tensor("0", 4, 2, -1, 1), False),  # backwards
        (tensor("0", 4, 3, 2), False),
    ],
)
def test_a_tensor_lies_within_its_storage_and_the_storage_within_the_file(made, fits):
    data = b"\x80\x02" + made + b"."
    if fits:
        root = examine(data, {"0": 16}, "a.pth")
        assert isinstance(root, Call) and root.arguments[0] == Storage("0", 4)
        return
    with pytest.raises(ModelError, match="storage|values that no checkpoint has"):
        examine(data, {"0": 16}, "a.pth")


@pytest.mark.parametrize("kind", ["O8", "U5", "V8", "M8", "S3"])
def test_numpy_takes_numbers_only(tmp_path, kind):
    data = b"\x80\x02cnumpy\ndtype\nX\x02\x00\x00\x00" + kind.encode() + b"\x89\x88\x87R."
    with pytest.raises(ModelError, match="numpy.dtype with values that no checkpoint has"):
        safe_load(archive(tmp_path / "a.pth", data))


# Hostile archives


EMPTY = pickle.dumps({}, 2)


def test_archives_that_torch_would_not_write_are_refused(tmp_path):
    marker = tmp_path / "marker"
    hostile = HOSTILE["system by REDUCE"](marker)
    cases = {
        "twice": {"data": EMPTY, "extra": {"archive/data.pkl": hostile}},
        "TWICE": {"data": EMPTY, "extra": {"archive/DATA.PKL": hostile}},
        "one folder": {"data": EMPTY, "extra": {"other/data.pkl": hostile}},
        "compressed": {"data": EMPTY, "compression": zipfile.ZIP_DEFLATED},
        "no part of": {"data": EMPTY, "extra": {"archive/../evil.py": b"x"}},
        "no data.pkl": {"data": EMPTY, "name": "archive/other.pkl"},
        "no part": {"data": EMPTY, "extra": {"archive/data/0x": b"x"}},
    }
    for number, (words, made) in enumerate(cases.items()):
        with pytest.warns(UserWarning) if words == "twice" else contextless():
            path = archive(tmp_path / f"{number}.pth", made.pop("data"), **made)
        with pytest.raises(ModelError) as caught:
            safe_load(path)
        expected = {"TWICE": "twice", "no data.pkl": "which is no part of a checkpoint"}.get(words, words)
        assert expected in str(caught.value), (words, str(caught.value))
    assert not marker.exists()


class contextless:
    """Nothing is expected."""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return False


def test_files_that_are_no_archives_are_told_apart(tmp_path):
    torch = torch_or_skip()
    old, other, cut = tmp_path / "old.pth", tmp_path / "notes.pth", tmp_path / "cut.pth"
    torch.save({"a": torch.ones(2)}, old, _use_new_zipfile_serialization=False)
    other.write_bytes(b"a letter")
    whole = saved(tmp_path / "whole.pth", {"a": torch.ones(2)}).read_bytes()
    cut.write_bytes(whole[: len(whole) // 2])
    for path, words in ((old, "torch before 1.6"), (other, "no checkpoint of torch"), (cut, "damaged or incomplete")):
        with pytest.raises(ModelError, match=words):
            safe_load(path)
    with pytest.raises(ModelError, match="cannot be read"):
        safe_load(tmp_path / "absent.pth")


def test_torchscript_is_a_program_and_needs_a_confirmation_and_a_hash(tmp_path):
    torch = torch_or_skip()
    path = tmp_path / "model.ts"
    torch.jit.script(torch.nn.Linear(2, 1)).save(str(path))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    with pytest.raises(ModelError, match="holds a program and not only weights"):
        safe_load(path, digest)
    with pytest.raises(ModelError, match="confirm that you trust"):
        load_torchscript(path, digest)
    assert load_torchscript(path, digest, confirmed=True)(torch.ones(1, 2)).shape == (1, 1)
    plain = saved(tmp_path / "model.pt", {"a": torch.ones(1)})
    with pytest.raises(ModelError, match="no TorchScript archive"):
        load_torchscript(plain, hashlib.sha256(plain.read_bytes()).hexdigest(), confirmed=True)


def test_a_torch_with_a_hole_in_its_safe_mode_is_not_used(tmp_path, monkeypatch):
    torch = torch_or_skip()
    path = saved(tmp_path / "weights.pt", {"a": torch.ones(1)})
    monkeypatch.setattr(torch, "__version__", "2.5.1+cu124")
    with pytest.raises(ModelError, match="PyTorch 2.5.1.cu124 cannot load checkpoints safely; wanted 2.6 or later"):
        safe_load(path)


# The twin


def test_the_twin_holds_what_inference_needs_and_is_loaded_from_then_on(tmp_path, cache, monkeypatch):
    torch = torch_or_skip()
    content = stock_checkpoint()
    path = saved(tmp_path / "checkpoint_final.pth", content)
    first = inference_checkpoint(path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert os.listdir(tmp_path) == ["checkpoint_final.pth"]
    assert sorted(os.listdir(cache)) == [f"{digest}.twin.json", f"{digest}.twin.safetensors"]
    monkeypatch.setattr(checkpoint, "safe_load", lambda *_: pytest.fail("the checkpoint was unpickled again"))
    again = inference_checkpoint(path)
    for found in (first, again):
        assert list(found) == ["network_weights", "trainer_name", "init_args", "inference_allowed_mirroring_axes"]
        assert found["init_args"] == {"configuration": "3d_fullres"} and found["inference_allowed_mirroring_axes"] == (0, 1, 2)
        assert list(found["network_weights"]) == list(content["network_weights"])
        for name, value in content["network_weights"].items():
            assert torch.equal(found["network_weights"][name], value), name
    assert safetensors_twin(path) == cache / f"{digest}.twin.safetensors"
    assert all(checkpoint_twin.is_twin(one) for one in cache.iterdir()) and not checkpoint_twin.is_twin(path)


def test_any_other_reader_of_safetensors_reads_the_twin(tmp_path):
    torch_or_skip()
    numbers = pytest.importorskip("safetensors.numpy", reason="safetensors is not installed")
    content = stock_checkpoint()
    found = numbers.load_file(safetensors_twin(saved(tmp_path / "checkpoint_final.pth", content)))
    for name, value in content["network_weights"].items():
        np.testing.assert_array_equal(found[name], value.numpy())


def test_layers_that_appear_twice_are_written_once(tmp_path):
    torch = torch_or_skip()
    shared = torch.arange(1000.0)
    weights = {"encoder.w": shared, "decoder.encoder.w": shared, "head": torch.ones(2)}
    path = saved(tmp_path / "a.pth", stock_checkpoint(network_weights=weights))
    found = [inference_checkpoint(path) for _ in range(2)][1]["network_weights"]
    assert list(found) == list(weights) and all(torch.equal(found[name], weights[name]) for name in weights)
    assert safetensors_twin(path).stat().st_size < 1.5 * shared.numel() * 4


@pytest.mark.parametrize("harm", ["tensors", "json", "half", "gone", "other checkpoint", "hostile json"])
def test_a_twin_that_does_not_fit_is_made_anew(tmp_path, harm):
    torch = torch_or_skip()
    content = stock_checkpoint()
    path = saved(tmp_path / "a.pth", content)
    place = safetensors_twin(path)
    description = checkpoint_twin.json_of(place)
    whole = place.read_bytes()
    if harm == "tensors":
        place.write_bytes(whole[:-4] + bytes(4))
    elif harm == "half":
        place.write_bytes(whole[: len(whole) // 2])
    elif harm == "json":
        description.write_text("{")
    elif harm == "gone":
        place.unlink()
    elif harm == "hostile json":
        facts = {"trainer_name": "os.system('x')\n", "configuration": "3d_fullres", "axes": [0], "has_axes": True}
        description.write_text(json.dumps({**json.loads(description.read_text()), "facts": facts}))
    else:
        content["network_weights"] = {name: value + 1 for name, value in content["network_weights"].items()}
        saved(path, content)
    found = inference_checkpoint(path)
    assert all(torch.equal(found["network_weights"][name], value) for name, value in content["network_weights"].items())
    assert found["trainer_name"] == "nnUNetTrainer"
    assert checkpoint_twin.read(place.parent, checkpoint.file_sha256(path)) is not None


def test_what_lies_beside_a_checkpoint_is_never_taken_for_its_twin(tmp_path, cache):
    """Somebody who can write there, or the maker of a zip, could put another network under the right hash."""
    torch = torch_or_skip()
    path = saved(tmp_path / "model" / "checkpoint_final.pth", {"w": torch.full((3, 3), 1.0)})
    foreign = safetensors_twin(saved(tmp_path / "foreign.pth", {"w": torch.full((3, 3), 666.0)}))
    description = json.loads(checkpoint_twin.json_of(foreign).read_text())
    description["checkpoint_sha256"] = digest = hashlib.sha256(path.read_bytes()).hexdigest()
    for stem in ("checkpoint_final", digest):
        path.with_name(f"{stem}.twin.safetensors").write_bytes(foreign.read_bytes())
        path.with_name(f"{stem}.twin.json").write_text(json.dumps(description))
    before = {file: file.read_bytes() for file in path.parent.iterdir()}
    for _ in range(2):
        assert torch.equal(inference_checkpoint(path, digest)["w"], torch.full((3, 3), 1.0))
    assert safetensors_twin(path).parent == cache
    assert {file: file.read_bytes() for file in path.parent.iterdir()} == before


def test_the_folder_is_the_user_s_own_or_the_one_that_the_variable_names(tmp_path, monkeypatch):
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    assert checkpoint_cache.cache_folder({}) == tmp_path / ".oncosegment" / "checkpoints"
    assert checkpoint_cache.cache_folder({"ONCOSEGMENT_CHECKPOINTS": str(tmp_path / "mine")}) == tmp_path / "mine"
    with pytest.raises(ModelError, match="ONCOSEGMENT_CHECKPOINTS names .*wanted an absolute path"):
        checkpoint_cache.cache_folder({"ONCOSEGMENT_CHECKPOINTS": "some/folder"})


def test_a_folder_that_cannot_be_made_costs_time_and_nothing_else(tmp_path):
    (tmp_path / "file").write_text("")
    path = saved(tmp_path / "a.pth", stock_checkpoint())
    assert inference_checkpoint(path, cache=tmp_path / "file" / "cache")["trainer_name"] == "nnUNetTrainer"
    with pytest.raises(ModelError, match="cannot be written; name a folder with ONCOSEGMENT_CHECKPOINTS"):
        safetensors_twin(path, cache=tmp_path / "file")


@POSIX
def test_the_folder_and_its_files_are_closed_to_others_at_any_umask(tmp_path, cache):
    before = os.umask(0)
    try:
        place = safetensors_twin(saved(tmp_path / "a.pth", stock_checkpoint()))
    finally:
        os.umask(before)
    assert place.parent == cache and cache.stat().st_mode & 0o777 == 0o700
    assert [file.stat().st_mode & 0o777 for file in cache.iterdir()] == [0o600, 0o600]


@POSIX
@pytest.mark.parametrize("mode", [0o777, 0o770, 0o1777, 0o702])
def test_a_folder_that_others_can_write_to_is_neither_read_nor_written(tmp_path, cache, mode):
    torch = torch_or_skip()
    path, other = (saved(tmp_path / name, {"w": torch.full((2,), value)}) for name, value in (("a.pth", 1.0), ("b.pth", 2.0)))
    replace_twin(safetensors_twin(path), safetensors_twin(other))
    assert inference_checkpoint(path)["w"][0] == 2.0, "this user's own programs are trusted there"
    files = sorted(os.listdir(cache))
    cache.chmod(mode)
    assert inference_checkpoint(path)["w"][0] == 1.0
    inference_checkpoint(saved(tmp_path / "c.pth", {"w": torch.zeros(2)}))
    assert sorted(os.listdir(cache)) == files
    cache.chmod(0o755)
    assert inference_checkpoint(path)["w"][0] == 2.0


@POSIX
@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize("kind", ["writable", "link"])
def test_a_twin_that_others_can_write_is_made_anew(tmp_path, which, kind):
    torch = torch_or_skip()
    path, other = (saved(tmp_path / name, {"w": torch.full((2,), value)}) for name, value in (("a.pth", 1.0), ("b.pth", 2.0)))
    place = safetensors_twin(path)
    replace_twin(place, safetensors_twin(other))
    file = (place, checkpoint_twin.json_of(place))[which]
    if kind == "writable":
        file.chmod(0o666)
    else:
        file.rename(tmp_path / "elsewhere")
        file.symlink_to(tmp_path / "elsewhere")
    assert inference_checkpoint(path)["w"][0] == 1.0
    assert checkpoint_cache.only_ours(file)


@POSIX
@pytest.mark.skipif(getattr(os, "geteuid", int)() != 0, reason="only root can give a folder to another user")
def test_a_folder_of_another_user_is_not_used(tmp_path, cache):
    cache.mkdir(mode=0o700)
    os.chown(cache, 12345, -1)
    inference_checkpoint(saved(tmp_path / "a.pth", stock_checkpoint()))
    assert not os.listdir(cache)


def replace_twin(place: Path, other: Path) -> None:
    """The other's numbers under this one's hash, as only somebody who can write to the folder could do it."""
    description = json.loads(checkpoint_twin.json_of(other).read_text())
    description["checkpoint_sha256"] = place.name.partition(".")[0]
    place.write_bytes(other.read_bytes())
    checkpoint_twin.json_of(place).write_text(json.dumps(description))


@pytest.mark.parametrize("bound", ["twins", "bytes"])
def test_the_folder_has_a_bound_and_what_was_used_longest_ago_goes_first(tmp_path, cache, monkeypatch, bound):
    torch = torch_or_skip()
    paths = [saved(tmp_path / f"{index}.pth", {"w": torch.full((1000,), float(index))}) for index in range(4)]
    places = [safetensors_twin(path) for path in paths[:3]]
    (cache / "notes.txt").write_text("the user's")
    (cache / f".{'0' * 32}.part").write_bytes(bytes(100))
    for age, place in enumerate((*reversed(places), cache / f".{'0' * 32}.part"), 1):
        for file in {place, checkpoint_twin.json_of(place)} if place in places else {place}:
            os.utime(file, (1e9 - age, 1e9 - age))
    inference_checkpoint(paths[0])  # the oldest, used again
    if bound == "twins":
        monkeypatch.setattr(checkpoint_cache, "MOST_TWINS", 3)
    else:
        sizes = [file.stat().st_size for place in places for file in (place, checkpoint_twin.json_of(place))]
        monkeypatch.setattr(checkpoint_cache, "LARGEST_CACHE", sum(sizes) + 20)
    kept = [places[0], places[2], safetensors_twin(paths[3])]
    assert sorted(os.listdir(cache)) == sorted(
        ["notes.txt", *(file.name for place in kept for file in (place, checkpoint_twin.json_of(place)))]
    )


def test_a_twin_larger_than_the_bound_is_not_written_and_pushes_nothing_out(tmp_path, cache, monkeypatch):
    torch = torch_or_skip()
    small = safetensors_twin(saved(tmp_path / "small.pth", {"w": torch.ones(2)}))
    monkeypatch.setattr(checkpoint_cache, "LARGEST_CACHE", 3000)
    assert len(inference_checkpoint(saved(tmp_path / "large.pth", {"w": torch.ones(1000)}))["w"]) == 1000
    assert sorted(cache.iterdir()) == sorted([small, checkpoint_twin.json_of(small)])


def test_a_checkpoint_is_hashed_once_and_again_when_it_changed(tmp_path, monkeypatch):
    path = saved(tmp_path / "a.pth", stock_checkpoint())
    digest, hashed, reckon = hashlib.sha256(path.read_bytes()).hexdigest(), [], checkpoint.stream_sha256
    monkeypatch.setattr(checkpoint, "stream_sha256", lambda stream: hashed.append(stream.name) or reckon(stream))
    for _ in range(2):
        inference_checkpoint(path, digest)
        safe_load(path, digest)
    assert len(hashed) == 1
    state, data = path.stat(), bytearray(path.read_bytes())
    data[1000] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))  # the same size and time as before
    if os.name == "posix":
        with pytest.raises(ModelError, match="damaged or another file"):
            inference_checkpoint(path, digest)


def test_without_safetensors_a_checkpoint_is_still_loaded_safely(tmp_path, cache, monkeypatch):
    path = saved(tmp_path / "a.pth", stock_checkpoint())
    monkeypatch.setitem(sys.modules, "safetensors.torch", None)
    for _ in range(2):
        assert inference_checkpoint(path)["trainer_name"] == "nnUNetTrainer"
    assert os.listdir(tmp_path) == ["a.pth"] and not os.listdir(cache)


def test_nothing_half_written_is_left_when_the_disk_is_full(tmp_path, cache):
    path = saved(tmp_path / "a.pth", stock_checkpoint(network_weights={"w": torch_or_skip().ones(50_000)}))
    with no_file_over(100_000):
        assert inference_checkpoint(path)["trainer_name"] == "nnUNetTrainer"
    assert os.listdir(tmp_path) == ["a.pth"] and not os.listdir(cache)


@pytest.mark.parametrize(
    "changes",
    [
        {"trainer_name": 5},
        {"trainer_name": "a\nb"},
        {"init_args": {}},
        {"network_weights": {}},
        {"network_weights": {"a": 3}},
        {"inference_allowed_mirroring_axes": (7,)},
    ],
)
def test_a_checkpoint_that_predictors_could_not_use_is_refused(tmp_path, changes):
    with pytest.raises(ModelError, match=r"^a.pth was not loaded: (it|its|'a' of its network weights) "):
        inference_checkpoint(saved(tmp_path / "a.pth", stock_checkpoint(**changes)))


def test_a_file_of_another_shape_comes_whole_and_has_no_twin(tmp_path):
    torch = torch_or_skip()
    path = saved(tmp_path / "a.pt", {"model": {"w": torch.ones(2)}, "epoch": 3})
    assert inference_checkpoint(path)["epoch"] == 3
    with pytest.raises(ModelError, match="neither a checkpoint of nnU-Net nor a plain state dict"):
        safetensors_twin(path)


# Plans


def plans_folder(folder: Path, **architecture) -> Path:
    """A model folder with only its plans."""
    import tiny_totalsegmentator

    folder.mkdir()
    one = {"architecture": {**tiny_totalsegmentator.ARCHITECTURE, **architecture}}
    (folder / "plans.json").write_text(json.dumps({"configurations": {"2d": {}, "3d_fullres": one}}))
    return folder


def test_plans_may_only_name_networks_and_layers(tmp_path):
    require_plain_plans(plans_folder(tmp_path / "good"))
    other = plans_folder(tmp_path / "other", network_class_name="their_package.Network")
    require_plain_plans(other, trusted=("their_package.Network",))
    layer = {"conv_op": "os.system", "nonlin": None}
    for name, changes in {
        "their_package.Network": {"network_class_name": "their_package.Network"},
        "os.system": {"arch_kwargs": layer, "_kw_requires_import": ["conv_op", "nonlin"]},
        "torch.nnother": {"network_class_name": "torch.nnother"},
        "torch.nn.functional.importlib.import_module": {"network_class_name": "torch.nn.functional.importlib.import_module"},
        "torch.nn.modules.conv.torch.Tensor": {"network_class_name": "torch.nn.modules.conv.torch.Tensor"},
    }.items():
        folder = plans_folder(tmp_path / f"bad-{name}", **changes)
        with pytest.raises(ModelError, match=f"its plans.json names '{name}'"):
            require_plain_plans(folder)
    (tmp_path / "good" / "plans.json").write_text("{")
    with pytest.raises(ModelError, match="its plans.json cannot be read"):
        require_plain_plans(tmp_path / "good")


# In torch's place


def test_inside_the_block_a_predictor_s_call_never_unpickles(tmp_path):
    torch = torch_or_skip()
    marker, path = tmp_path / "marker", tmp_path / "bad.pth"
    torch.save({"network_weights": Reduced(os.system, run_me(marker))}, path)
    good = saved(tmp_path / "good.pth", stock_checkpoint())
    original = torch.load
    with safe_torch_load():
        with pytest.raises(ModelError, match="asks for .*system"):
            torch.load(path, map_location=torch.device("cpu"), weights_only=False)
        with pytest.raises(ModelError, match="no streams"):
            torch.load(io.BytesIO(path.read_bytes()), weights_only=False)
        found = torch.load(str(good), map_location=torch.device("cpu"), weights_only=False)
        assert sorted(found) == sorted(["network_weights", "trainer_name", "init_args", "inference_allowed_mirroring_axes"])
        meta = torch.load(good, map_location="meta")
        assert all(value.device.type == "meta" for value in meta["network_weights"].values())
        with safe_torch_load():
            pass
        assert torch.load is not original
    assert torch.load is original and not marker.exists()
    assert torch.load(good, weights_only=False)["current_epoch"] == 2


def test_another_thread_keeps_torch_s_own_function(tmp_path):
    import threading

    torch = torch_or_skip()
    path, found = saved(tmp_path / "a.pth", stock_checkpoint()), []
    with safe_torch_load():
        thread = threading.Thread(target=lambda: found.append(torch.load(path, weights_only=False)))
        thread.start()
        thread.join()
    assert found[0]["current_epoch"] == 2


def test_the_hash_of_each_checkpoint_can_be_asked_for(tmp_path):
    torch = torch_or_skip()
    path = saved(tmp_path / "a.pth", stock_checkpoint())
    with (
        safe_torch_load(lambda asked: "0" * 64 if asked.name == "a.pth" else None),
        pytest.raises(ModelError, match="wanted 0000"),
    ):
        torch.load(path)


def test_nothing_heavy_is_loaded_with_the_module():
    code = "import sys, ModelManagerLib.checkpoint; print([m for m in ('torch', 'safetensors', 'nnunetv2') if m in sys.modules])"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, PACKAGE_PARENTS))}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.strip() == "[]"


# nnU-Net's own predictor


def test_nnunet_predicts_the_same_from_the_twin(tmp_path, cache):
    pytest.importorskip("nnunetv2", reason="nnU-Net is not installed (extra 'ai')")
    torch = torch_or_skip()
    from helpers_models_tiny import tiny_model

    model = tiny_model(tmp_path / "model", labels=4, stock=True)
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

    image = np.random.default_rng(2).normal(0, 300, (1, 24, 24, 24)).astype(np.float32)

    def logits(folder: Path):
        predictor = nnUNetPredictor(device=torch.device("cpu"), use_mirroring=False, allow_tqdm=False)
        predictor.initialize_from_trained_model_folder(str(folder), use_folds=(0,))
        return predictor.predict_logits_from_preprocessed_data(torch.from_numpy(image))

    wanted = logits(model)
    twice = []
    for _ in range(2):
        with safe_torch_load():
            twice.append(logits(model))
    assert all(torch.equal(wanted, found) for found in twice)
    assert os.listdir(model / "fold_0") == ["checkpoint_final.pth"] and len(os.listdir(cache)) == 2
