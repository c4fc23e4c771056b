"""The reference patient as nodes, as Sample Data, and by the command line."""

from __future__ import annotations

import argparse
import json
from types import SimpleNamespace

import numpy as np
import pytest
import slicer

from helpers import tree
from OncoAppLib import phantom as verb
from OncoAppLib.cli import add_common
from OncoLib.errors import InputError
from OncoLib.phantom.acquisition import Acquisition
from OncoLib.phantom.brain import BrainAcquisition
from OncoLib.scene import sample_data
from OncoLib.scene.host import new_host
from OncoLib.scene.volumes import image_of

COARSE = (8.0, 8.0, 8.0)


@pytest.fixture
def scene():
    """A scene of its own; the host owns the logics that it needs."""
    made = new_host()
    yield made.scene
    made.scene.Clear(True)


def test_ct_and_truth_become_nodes(scene):
    volume, truth = sample_data.add_ct(scene, Acquisition(spacing_mm=COARSE))
    assert isinstance(volume, slicer.vtkMRMLScalarVolumeNode) and isinstance(truth, slicer.vtkMRMLSegmentationNode)
    assert image_of(volume).modality == "CT" and truth.GetSegmentation().GetNumberOfSegments() > 60
    assert truth.GetSegmentation().GetSegmentIdBySegmentName("L3 vertebra")


def test_the_brain_has_four_volumes_and_one_truth(scene):
    nodes = sample_data.add_brain(scene, BrainAcquisition(spacing_mm=COARSE))
    assert [node.GetClassName() for node in nodes].count("vtkMRMLScalarVolumeNode") == 4 and len(nodes) == 5


class Registry:
    """Takes registrations with the check that Slicer's own SampleDataSource makes on them."""

    def __init__(self):
        self.sources = []

    def registerCustomSampleDataSource(self, *, category, sampleName, uris, fileNames, nodeNames, customDownloader):
        assert len(uris) == len(fileNames) == len(nodeNames)
        self.sources.append(SimpleNamespace(category=category, sampleName=sampleName, customDownloader=customDownloader))


def test_samples_are_registered_and_made_without_download(monkeypatch):
    registry = Registry()
    sample_data.register(registry)
    assert {source.category for source in registry.sources} == {"OncoSegment"} and len(registry.sources) == 3
    made = new_host()
    monkeypatch.setattr(sample_data, "host", lambda: made)
    monkeypatch.setattr(sample_data, "BrainAcquisition", lambda: BrainAcquisition(spacing_mm=COARSE))
    brain = next(source for source in registry.sources if "brain" in source.sampleName)
    nodes = brain.customDownloader(brain)
    assert len(nodes) == 5 and nodes[0].GetScene() is made.scene
    assert np.ptp(image_of(nodes[0]).voxels) > 100


def run(*arguments) -> int:
    parser = argparse.ArgumentParser()
    verb.add(parser.add_subparsers(), add_common)
    options = parser.parse_args(["phantom", *arguments])
    return options.run(options)


def test_the_command_writes_what_it_says(tmp_path, capsys):
    asked = ("--dates", "2", "--spacing", "8", "8", "8", "--region", "abdomen", "--noise", "5", "--json")
    assert run("--output", str(tmp_path / "a"), *asked) == 0
    told = json.loads(capsys.readouterr().out)
    assert [one["date"] for one in told["scans"]] == ["20260105", "20260302"]
    assert all(one["noise_hu"] == 5 for one in told["scans"])
    assert sorted(told["files"]) == sorted(str(path) for path in (tmp_path / "a").iterdir())
    assert run("--output", str(tmp_path / "b"), *asked) == 0
    assert {name: data for name, data in tree(tmp_path / "a").items() if name.endswith(".json")} == {
        name: data for name, data in tree(tmp_path / "b").items() if name.endswith(".json")
    }


def test_the_command_tells_the_lesions_and_makes_brains(tmp_path, capsys):
    assert run("--output", str(tmp_path), "--brain", "--dicom", "--spacing", "6", "6", "6") == 0
    told = capsys.readouterr().out
    assert "FLAIR" in told and "Research use" in told
    assert len(list(tmp_path.glob("mr-*-dicom/*.dcm"))) > 4


def test_an_unknown_region_leaves_no_folder(tmp_path):
    with pytest.raises(InputError, match="leg"):
        run("--output", str(tmp_path / "x"), "--region", "leg")
    assert tree(tmp_path) == {}
