"""What of a bundle's configuration runs without confirmation: a small language and a list of components."""

from __future__ import annotations

import numpy as np
import pytest

from OncoLib.errors import ModelError
from OncoSegmentLib.experts.monai_bundle import config
from OncoSegmentLib.experts.monai_bundle.allowed import place_of
from OncoSegmentLib.experts.monai_bundle.expressions import NotPlain, parsed
from OncoSegmentLib.experts.monai_bundle.plain import PlainConfig


def no_call(name, arguments, options):
    """Tells what was asked of the run."""
    return name, arguments, options


def value(text: str, **entries):
    """What an expression gives beside other entries."""
    return PlainConfig({**entries, "here": text}, no_call).get("here")


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("$@bundle_root + '/models/' + @name", "/b/models/model.pt"),
        ("$[1.5, 1.5, 1.5] if @more#high else [3.0, 3.0, 3.0]", [1.5, 1.5, 1.5]),
        ("$@more::list[0] * 2 - 1", 9),
        ("$tuple(@more#list)", (5, 6)),
        ("$[*@more#list, len(@name)]", [5, 6, 8]),
        ("$-(7 // 2) % 5 < 3 and not @more#high", False),
        ("$@name[:5]", "model"),
        ("$dict(a=1, **{'b': 2})['b']", 2),
        ("$max(@more#list) / 4", 1.5),
        ("$1 < 2 < 2", False),
        ("$'a' in ['a', 'b'] or None", True),
        ("$torch.device('cuda')", ("torch.device", ["cuda"], {})),
        ("$torch.load(@bundle_root + '/x.pt', map_location='cpu')", ("torch.load", ["/b/x.pt"], {"map_location": "cpu"})),
    ],
)
def test_what_it_works_out(text, wanted):
    """Expected values by Python's own rules, worked out by hand."""
    assert value(text, bundle_root="/b", name="model.pt", more={"high": True, "list": [5, 6]}) == wanted


def test_arrays_of_numbers():
    found = value("$np.array([[1, 2], [3, 4]])")
    assert found.dtype.kind == "i" and found.tolist() == [[1, 2], [3, 4]]
    assert value("$np.float32") is np.float32
    with pytest.raises(NotPlain):
        value("$np.array(['a'])")


HOSTILE = """
__import__('os').system('touch here')
().__class__.__base__.__subclasses__()
open('here', 'w')
exec('1')
eval('1')
[x for x in range(3)]
lambda: 1
(lambda: 1)()
f'{1}'
f'{__import__("os")}'
getattr(torch, 'hub')
torch.hub.load('a', 'b')
torch.ops.load_library('x.so')
torch.load
torch.serialization.load('x')
np.load('x', allow_pickle=True)
np.fromfile('x')
np.float32.__class__
monai.bundle.download('x')
monai.transforms.Lambdad(keys='a', func=print)
@network.to('cpu')
@network.__class__
@a.__init__.__globals__['os']
'a'.format(1)
9 ** 9
1 << 99
b'x'
1j
print(1)
globals()
vars()
import os
from os import system
a := 1
(a := 1)
yield 1
await x
...
os
len
torch
_entry_('other')
__local_refs['os']
__builtins__
subprocess.Popen(['x'])
len.__self__
[].append(1)
{**globals()}
1 if __import__('os') else 2
[*open('x')]
@a(1)
@a[__import__('os')]
max([1], key=print)
torch.nn.Sequential.__init__
torch.nn.Sequential()(1)
""".strip().splitlines()


@pytest.mark.parametrize("text", HOSTILE)
def test_everything_else_is_refused_before_anything_is_worked_out(text):
    with pytest.raises(NotPlain):
        parsed(f"${text}")


def test_endless_growth_is_stopped():
    doubling = {f"a{at}": f"$@a{at - 1} + @a{at - 1}" for at in range(1, 60)} | {"a0": "x" * 1000}
    with pytest.raises(NotPlain, match="too long a result"):
        value("$@a59", **doubling)
    squares = {f"a{at}": f"$@a{at - 1} * @a{at - 1}" for at in range(1, 60)} | {"a0": 3}
    with pytest.raises(NotPlain, match="too large a result"):
        value("$@a59", **squares)
    with pytest.raises(NotPlain, match="calculates with a text"):
        value("$'%999999999d' % 1")
    with pytest.raises(NotPlain, match="repeats something too often"):
        value("$[0] * 1000000")
    with pytest.raises(NotPlain):
        parsed("$" + "(" * 900 + "1" + ")" * 900)
    with pytest.raises(NotPlain, match="3001 characters"):
        parsed("$" + "1" * 3000)
    with pytest.raises(NotPlain, match="to itself"):
        value("$@here + 1")


@pytest.mark.parametrize(
    "entry",
    [
        {"_target_": "subprocess.Popen", "args": ["x"]},
        {"_target_": "os.system", "command": "x"},
        {"_target_": "torch.nn.Module"},
        {"_target_": "torch.hub.load", "repo_or_dir": "x"},
        {"_target_": "monai.transforms.Lambdad", "keys": "a", "func": "print"},
        {"_target_": "monai.transforms.LoadImaged", "keys": "a"},
        {"_target_": "monai.bundle.ConfigParser"},
        {"_target_": "scripts.networks.UNet"},
        {"_target_": "evil.UNet"},
        {"_target_": "monai.networks.nets.."},
        {"_target_": "monai.networks.nets.HuggingFace"},
        {"_target_": "monai.networks.nets.resnet50", "pretrained": True},
        {"_target_": "$@other.method"},
        {"_target_": "@other"},
        {"_target_": ["UNet"]},
        {"_target_": "UNet", "_mode_": "debug"},
        {"_target_": "UNet", "_mode_": "callable"},
        {"_target_": "UNet", "act": {"_target_": "builtins.eval", "source": "1"}},
        {"_target_": "UNet", "_requires_": "$__import__('os')"},
        {"_target_": "UNet", "_requires_": [{"_target_": "os.getcwd"}]},
        {"_target_": "UNet", "_disabled_": "$__import__('os')"},
        {"_target_": "Compose", "transforms": ["$__import__('os')"]},
        ["%/etc/passwd::0"],
        {"a": "%other.json#x"},
        "%configs/train.json::network",
        "@##relative",
        "@missing",
    ],
)
def test_components_that_are_not_on_the_list_are_refused(entry):
    with pytest.raises(NotPlain):
        PlainConfig({"here": entry, "other": 1}, no_call).check(["here"])


def test_what_is_hostile_elsewhere_does_not_matter():
    plain = PlainConfig({"here": "@part", "part": [1, {"x": "@part#0"}], "run": ["$__import__('os')"]}, no_call)
    assert plain.get("here") == [1, {"x": 1}]


def test_disabled_components_are_left_out_and_never_looked_at():
    off = {"_target_": "os.system", "_disabled_": True, "command": "x"}
    plain = PlainConfig({"here": [1, off, {"a": off, "b": 2}]}, no_call)
    assert plain.get("here") == [1, {"b": 2}]


def test_places_of_components():
    assert place_of("SpacingDict") == place_of("monai.transforms.spatial.dictionary.SpacingD") == ("monai.transforms", "Spacingd")
    assert place_of("monai.networks.nets.unet.UNet") == place_of("UNet") == ("monai.networks.nets", "UNet")
    assert place_of("torch.nn.Conv3d") == ("torch.nn", "Conv3d")
    assert place_of("Conv3d") is None and place_of("Spacing") is None and place_of("monai.transformsx.Spacingd") is None


def test_documents_without_end_are_refused(tmp_path):
    pytest.importorskip("yaml", reason="PyYAML is not installed, so YAML configurations cannot be read")
    folder = tmp_path / "b" / "configs"
    folder.mkdir(parents=True)
    laughs = "a: &a [1,1,1,1,1,1,1,1,1,1]\n" + "".join(
        f"{new}: &{new} [{','.join([f'*{old}'] * 10)}]\n" for old, new in zip("abcdefgh", "bcdefghi")
    )
    for text, told in (
        (laughs, "too many parts"),
        ("a: &a [*a]", "too many parts"),
        ("a: 2020-01-01", "holds a date"),
        ("!!python/object/apply:os.system ['touch here']", "cannot be read"),
        ("[1]", "holds no settings"),
        ("a: [", "cannot be read"),
    ):
        (folder / "inference.yaml").write_text(text)
        with pytest.raises(ModelError, match=told):
            config.read(folder / "inference.yaml")
    (folder / "inference.json").write_text('{"a":' * 5000 + "1" + "}" * 5000)
    with pytest.raises(ModelError, match="cannot be read|too many"):
        config.read(folder / "inference.json")


BOMBS = {
    "spread": "$[" + ", ".join(["*@long"] * 200) + "]",
    "nested and repeated": "$[[0] * 90000] * 90000",
    "array of nested": "$np.array([@long, @long, @long])",
    "text of nested": "$str([['a' * 50000] * 90000])",
    "sum of lists": "$sum([[0] * 90000] * 90000, [])",
    "row and column": "$np.array(@long)[:, None] * np.array(@long)",
    "row and column compared": "$np.array(@long)[:, None] < np.array(@long)",
    "entries that hold each other twice": "$str(@twice0)",
    "the same as an argument": "$torch.nn.Identity(@twice0)",
    "arrays in a list": "$sum([np.array(@long)] * 90000)",
}


@pytest.mark.parametrize("name", sorted(BOMBS))
def test_a_small_text_makes_no_large_thing(name):
    """Each would take gigabytes, or minutes."""
    twice = {f"twice{at}": [f"@twice{at + 1}"] * 2 for at in range(40)}
    with pytest.raises(NotPlain, match="too long a result|repeats something too often"):
        value(BOMBS[name], long="$[0] * 90000", twice40=[1], **twice)


def test_arrays_of_different_shape_are_calculated_with():
    assert value("$(np.array([[1], [2]]) + np.array([10, 20, 30]))[1, 2]") == 32
    assert value("$[*@a, *@a]", a=[1, 2]) == [1, 2, 1, 2]
