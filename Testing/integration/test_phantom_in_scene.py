"""The reference patient as nodes, as Sample Data, and by the command line."""

from __future__ import annotations

import argparse
import json
import urllib.request
from types import SimpleNamespace

import numpy as np
import pytest
import slicer

from helpers import tree
from OncoAppLib import phantom as verb
from OncoAppLib.cli import add_common
from OncoLib.errors import InputError
from OncoLib.phantom import brain
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
    """Takes registrations as Slicer's own SampleDataLogic does: a source of one file, by its address."""

    def __init__(self):
        self.sources = []

    def registerCustomSampleDataSource(self, *, category, sampleName, uris, fileNames, nodeNames, loadFileTypes):
        assert all(isinstance(text, str) for text in (uris, fileNames, nodeNames, loadFileTypes))
        self.sources.append(SimpleNamespace(category=category, name=sampleName, uri=uris, file=fileNames, kind=loadFileTypes))


@pytest.fixture
def samples(tmp_path):
    """What Slicer downloads: the file of each sample, by its name in Sample Data."""
    registry = Registry()
    sample_data.register(registry)
    for source in registry.sources:
        urllib.request.urlretrieve(source.uri, tmp_path / source.file)
        assert source.file.endswith(sample_data.SUFFIX) and source.category == "OncoSegment"
    return {source.name: tmp_path / source.file for source in registry.sources}


def test_the_addresses_of_samples_hold_their_files(samples):
    assert {sample_data.read_sample(path) for path in samples.values()} == {"ct", "follow-up", "brain"}


@pytest.mark.parametrize("text", ["{", '{"sample": "ct"}', '{"format": "oncosegment.sample/1", "sample": "leg"}', "[]", "\xff"])
def test_a_file_that_names_no_sample_is_refused(tmp_path, text):
    path = tmp_path / "a.oncopatient"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(InputError, match="a.oncopatient"):
        sample_data.read_sample(path)


def test_the_reader_of_the_module_makes_the_nodes_of_a_sample(slicer_stubs, samples, monkeypatch):
    coarse = BrainAcquisition(spacing_mm=COARSE)
    monkeypatch.setattr(brain, "BrainAcquisition", lambda: coarse)
    reader = slicer_stubs.load_module("OncoSegment").OncoSegmentFileReader(SimpleNamespace(loadedNodes=[]))
    assert reader.fileType() == sample_data.FILE_TYPE and sample_data.SUFFIX in reader.extensions()[0]
    assert reader.load({"fileName": str(next(path for name, path in samples.items() if "brain" in name))}) is True
    nodes = [slicer_stubs.scene.GetNodeByID(name) for name in reader.parent.loadedNodes]
    assert len(nodes) == 5 and np.ptp(image_of(nodes[0]).voxels) > 100


def test_the_reader_tells_why_a_file_is_none_of_ours(slicer_stubs, tmp_path):
    import vtk

    (tmp_path / "b.oncopatient").write_text("{}")
    told = slicer.vtkMRMLMessageCollection()
    reader = slicer_stubs.load_module("OncoSegment").OncoSegmentFileReader(SimpleNamespace(userMessages=lambda: told))
    assert reader.load({"fileName": str(tmp_path / "b.oncopatient")}) is False
    assert told.GetNumberOfMessagesOfType(vtk.vtkCommand.ErrorEvent) == 1 and "b.oncopatient" in told.GetAllMessagesAsString()


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
