"""Surface files, read back by VTK and by parsers of this test: places, colors, frames, names; all files or none."""

from __future__ import annotations

import hashlib
import json
import os
import struct
import sys

import numpy as np
import pytest
import vtk
from vtk.util.numpy_support import vtk_to_numpy

from helpers import LEFT_HANDED, no_file_over, segment, segmentation, tree
from OncoLib.errors import Cancelled, InputError, OutputError
from OncoLib.filters.mesh import Mesh, is_watertight, mesh_volume_ml
from OncoLib.filters.surface_files import write_surfaces
from OncoLib.filters.surfaces import surfaces_of
from OncoLib.progress import CancelToken
from OncoLib.surface_settings import SurfaceSettings

LIVER, LESION = (221, 130, 101), (0, 255, 7)
SIGNS = {"RAS": (1, 1, 1), "LPS": (-1, -1, 1)}


@pytest.fixture(scope="module")
def surfaces():
    """Two structures and an empty one on an oblique left-handed grid, where wrong signs cannot hide."""
    voxels = np.zeros((14, 16, 18), np.uint8)
    voxels[2:8, 3:9, 4:12], voxels[9:13, 10:15, 12:17] = 1, 2
    segments = [segment(1, "Liver", color=LIVER), segment(2, "Läsion 1/2", color=LESION), segment(3, "not there")]
    return surfaces_of(segmentation([voxels], LEFT_HANDED, segments), SurfaceSettings())


def read_stl(path) -> tuple[bytes, np.ndarray, np.ndarray]:
    """Header, normals and corners of a binary STL by its definition: 80 bytes, a count, 50 bytes a triangle."""
    data = path.read_bytes()
    (count,) = struct.unpack_from("<I", data, 80)
    assert len(data) == 84 + 50 * count
    rows = np.frombuffer(data, np.dtype([("normal", "<f4", 3), ("corner", "<f4", (3, 3)), ("end", "<u2")]), count, 84)
    assert not rows["end"].any()
    return data[:80], rows["normal"].astype(float), rows["corner"].astype(float)


def read_ply(path) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Header lines, vertex rows and triangles of a binary PLY, by what its header says."""
    data = path.read_bytes()
    end = data.index(b"end_header\n") + 11
    lines = data[:end].decode("ascii").splitlines()
    kinds = {"float": "<f4", "uchar": "u1"}
    fields = [(line.split()[2], kinds[line.split()[1]]) for line in lines if line.startswith("property") and "list" not in line]
    count = {line.split()[1]: int(line.split()[2]) for line in lines if line.startswith("element")}
    vertices = np.frombuffer(data, np.dtype(fields), count["vertex"], end)
    faces = np.frombuffer(data, np.dtype([("n", "u1"), ("at", "<i4", 3)]), count["face"], end + vertices.nbytes)
    assert end + vertices.nbytes + faces.nbytes == len(data) and (faces["n"] == 3).all()
    return lines, vertices, faces["at"]


def read_obj(path) -> tuple[np.ndarray, np.ndarray, dict[str, list]]:
    """Points, normals, and triangles (from 0) of each group."""
    points, normals, groups = [], [], {}
    for line in path.read_text(encoding="utf-8").splitlines():
        kind, _, rest = line.partition(" ")
        if kind == "v":
            points.append([float(part) for part in rest.split()])
        elif kind == "vn":
            normals.append([float(part) for part in rest.split()])
        elif kind == "g":
            group = groups.setdefault(rest, [])
        elif kind == "usemtl":
            assert rest in groups
        elif kind == "f":
            group.append([int(part.split("//")[0]) - 1 for part in rest.split()])
    return np.array(points), np.array(normals), groups


def as_mesh(reader, path) -> Mesh:
    """What a VTK reader makes of a file."""
    reader.SetFileName(str(path))
    reader.Update()
    output = reader.GetOutput()
    points = vtk_to_numpy(output.GetPoints().GetData())
    return Mesh(points, vtk_to_numpy(output.GetPolys().GetConnectivityArray()).reshape(-1, 3))


@pytest.mark.parametrize("frame", ["RAS", "LPS"])
def test_stl_states_its_frame_and_holds_the_triangles_with_outward_normals(surfaces, tmp_path, frame):
    write_surfaces(surfaces, tmp_path, file_format="stl", frame=frame)
    header, normals, corners = read_stl(tmp_path / "Liver.stl")
    assert header.rstrip(b"\0").decode("ascii") == f"OncoSegment SPACE={frame} UNIT=mm"
    wanted = surfaces[0].mesh.corners_ras_mm * SIGNS[frame]
    np.testing.assert_allclose(corners, wanted, atol=1e-4)
    by_corners = np.cross(wanted[:, 1] - wanted[:, 0], wanted[:, 2] - wanted[:, 0])
    by_corners /= np.linalg.norm(by_corners, axis=1, keepdims=True)
    np.testing.assert_allclose(normals, by_corners, atol=1e-4)


@pytest.mark.parametrize("frame", ["RAS", "LPS"])
def test_ply_holds_points_normals_colors_and_says_where_it_is(surfaces, tmp_path, frame):
    write_surfaces(surfaces, tmp_path, file_format="ply", frame=frame)
    for surface, name, color in zip(surfaces, ("Liver.ply", "Läsion_1_2.ply"), (LIVER, LESION)):
        lines, vertices, triangles = read_ply(tmp_path / name)
        assert lines[1] == "format binary_little_endian 1.0"
        assert {f"comment SPACE={frame}", "comment UNIT=mm"} <= set(lines)
        points = np.column_stack([vertices[axis] for axis in "xyz"])
        np.testing.assert_allclose(points, surface.mesh.points_ras_mm * SIGNS[frame], atol=1e-4)
        assert np.array_equal(triangles, surface.mesh.triangles)
        assert {tuple(int(vertex[part]) for part in ("red", "green", "blue")) for vertex in vertices} == {color}
        outward = np.column_stack([vertices[axis] for axis in ("nx", "ny", "nz")])
        assert np.einsum("ij,ij->i", outward, points - points.mean(axis=0)).min() > 0, "both structures are convex"


@pytest.mark.parametrize("frame", ["RAS", "LPS"])
def test_obj_holds_a_group_and_a_material_a_segment(surfaces, tmp_path, frame):
    write_surfaces(surfaces, tmp_path, file_format="obj", frame=frame)
    points, normals, groups = read_obj(tmp_path / "surfaces.obj")
    assert list(groups) == ["Liver", "Läsion_1_2"]
    for surface, triangles in zip(surfaces, groups.values()):
        wanted = surface.mesh.corners_ras_mm * SIGNS[frame]
        np.testing.assert_allclose(points[np.array(triangles)], wanted, atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(normals, axis=1), 1, atol=1e-4)
    text = (tmp_path / "surfaces.obj").read_text(encoding="utf-8")
    assert text.startswith(f"# OncoSegment SPACE={frame}\n") and "1 unit = 1.000000 mm" in text
    materials = (tmp_path / "surfaces.mtl").read_text(encoding="utf-8")
    diffuse = [[float(part) for part in line.split()[1:]] for line in materials.splitlines() if line.startswith("Kd")]
    np.testing.assert_allclose(np.array(diffuse) * 255, [LIVER, LESION], atol=1e-3)
    assert [line.split()[1] for line in materials.splitlines() if line.startswith("newmtl")] == list(groups)


def test_vtk_reads_all_three_as_the_same_closed_surface(surfaces, tmp_path):
    for file_format, reader in (("stl", vtk.vtkSTLReader), ("ply", vtk.vtkPLYReader), ("obj", vtk.vtkOBJReader)):
        folder = tmp_path / file_format
        write_surfaces(surfaces[:1], folder, file_format=file_format)
        (path,) = folder.glob(f"*.{file_format}")
        back = as_mesh(reader(), path)
        assert is_watertight(back), "STL keeps no neighbors: they are found by equal coordinates"
        assert mesh_volume_ml(back) == pytest.approx(surfaces[0].volume.value, rel=1e-5)


def test_the_description_says_what_is_what_and_nothing_of_the_patient(surfaces, tmp_path):
    settings = SurfaceSettings()
    described, files = write_surfaces(surfaces, tmp_path, file_format="stl", settings=settings, provenance={"model": "m"})
    assert described == json.loads((tmp_path / "surfaces.json").read_text(encoding="utf-8"))
    assert [path.name for path in files] == ["Liver.stl", "Läsion_1_2.stl", "surfaces.json"]
    assert (described["frame"], described["unit"], described["settings"]) == ("LPS", "mm", settings.as_dict())
    liver, lesion, absent = described["surfaces"]
    assert (liver["file"], lesion["file"], absent["file"]) == ("Liver.stl", "Läsion_1_2.stl", "")
    assert liver["surface_volume_ml"] == pytest.approx(surfaces[0].volume.value, rel=1e-8)
    assert liver["voxel_volume_ml"] == pytest.approx(6 * 6 * 8 * 0.7 * 0.9 * 3 / 1000)
    assert (liver["watertight"], absent["watertight"], absent["triangles"]) == (True, False, 0)
    assert "name" not in described, "the segmentation's own name can hold the patient's"


def test_segments_whose_names_meet_get_files_of_their_own(tmp_path):
    voxels = np.zeros((5, 5, 9), np.uint8)
    voxels[1:4, 1:4, 1:4], voxels[1:4, 1:4, 5:8] = 1, 2
    both = segmentation([voxels], None, [segment(1, "Lesion 1"), segment(2, "lesion/1")])
    described, _ = write_surfaces(surfaces_of(both), tmp_path, file_format="ply")
    assert [item["file"] for item in described["surfaces"]] == ["Lesion_1.ply", "lesion_1-2.ply"]
    write_surfaces(surfaces_of(both), tmp_path, file_format="obj", overwrite=True)
    assert list(read_obj(tmp_path / "surfaces.obj")[2]) == ["Lesion_1", "lesion_1-2"]


def test_an_earlier_result_is_kept_unless_overwriting_and_then_leaves_nothing_behind(surfaces, tmp_path):
    write_surfaces(surfaces, tmp_path, file_format="stl")
    (tmp_path / "mine.stl").write_text("another program's", encoding="utf-8")
    before = tree(tmp_path)
    with pytest.raises(OutputError, match="surfaces.json is in the output folder already"):
        write_surfaces(surfaces, tmp_path, file_format="obj")
    assert tree(tmp_path) == before
    write_surfaces(surfaces, tmp_path, file_format="obj", overwrite=True)
    assert sorted(tree(tmp_path)) == ["mine.stl", "surfaces.json", "surfaces.mtl", "surfaces.obj"]


@pytest.mark.parametrize("listed", ["../outside.stl", "sub/inside.stl", "notes.txt", ".hidden.stl"])
def test_a_description_from_elsewhere_never_takes_other_files_away(surfaces, tmp_path, listed):
    folder = tmp_path / "out"
    (folder / "sub").mkdir(parents=True)
    (folder / listed).write_text("keep", encoding="utf-8")
    forged = {"format": "oncosegment.surfaces/1", "surfaces": [{"file": listed}], "materials": []}
    (folder / "surfaces.json").write_text(json.dumps(forged), encoding="utf-8")
    write_surfaces(surfaces, folder, file_format="stl", overwrite=True)
    assert (folder / listed).read_text(encoding="utf-8") == "keep"


def forged(folder, name: str, content: str, **changes) -> None:
    """A description that claims a file of that content; true in everything but for `changes`."""
    (folder / name).write_text(content, encoding="utf-8")
    stated = {
        "format": "oncosegment.surfaces/1",
        "file_format": "stl",
        "materials": [],
        "surfaces": [{"file": name, "name": name.removesuffix(".stl")}],
        "sha256": {name: hashlib.sha256(content.encode()).hexdigest()},
    }
    (folder / "surfaces.json").write_text(json.dumps({**stated, **changes}), encoding="utf-8")


@pytest.mark.parametrize(
    "changes",
    [
        {"sha256": {}},
        {"sha256": {"other.stl": "0" * 64}},
        {"sha256": None},
        {"surfaces": [{"file": "other.stl", "name": "Liver"}]},
        {"surfaces": [{"file": "other.stl", "name": 3}]},
        {"surfaces": [{"file": "other.stl", "name": "other"}, {"file": "x", "name": None}]},
        {"surfaces": []},
        {"file_format": "ply"},
        {"file_format": "exe"},
        {"file_format": "obj", "materials": ["other.stl"]},
    ],
    ids=str,
)
def test_only_files_of_ours_are_taken_away(surfaces, tmp_path, changes):
    forged(tmp_path, "other.stl", "the user's own", **changes)
    write_surfaces(surfaces, tmp_path, file_format="stl", overwrite=True)
    assert (tmp_path / "other.stl").read_text(encoding="utf-8") == "the user's own"


def test_a_stale_surface_goes_and_one_that_was_changed_since_stays(surfaces, tmp_path):
    write_surfaces(surfaces, tmp_path, file_format="stl")
    stated = json.loads((tmp_path / "surfaces.json").read_text(encoding="utf-8"))["sha256"]
    assert stated == {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in tmp_path.glob("*.stl")}
    with open(tmp_path / "Liver.stl", "ab") as stream:
        stream.write(b"repaired by hand")
    write_surfaces(surfaces, tmp_path, file_format="ply", overwrite=True)
    assert sorted(tree(tmp_path)) == ["Liver.ply", "Liver.stl", "Läsion_1_2.ply", "surfaces.json"]


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights on Windows")
def test_a_link_is_not_taken_away(surfaces, tmp_path):
    forged(tmp_path, "other.stl", "elsewhere")
    (tmp_path / "other.stl").rename(tmp_path / "kept.txt")
    (tmp_path / "other.stl").symlink_to("kept.txt")
    write_surfaces(surfaces, tmp_path, file_format="stl", overwrite=True)
    assert (tmp_path / "other.stl").is_symlink() and (tmp_path / "kept.txt").exists()


@pytest.mark.parametrize("spoiled", ["", "[]", "{", '{"format": "oncosegment.surfaces/1", "surfaces": 3}'])
def test_a_spoiled_description_is_replaced(surfaces, tmp_path, spoiled):
    (tmp_path / "surfaces.json").write_text(spoiled, encoding="utf-8")
    write_surfaces(surfaces, tmp_path, file_format="stl", overwrite=True)
    assert json.loads((tmp_path / "surfaces.json").read_text(encoding="utf-8"))["frame"] == "LPS"


@pytest.mark.skipif(sys.platform == "win32", reason="file size limits are POSIX")
@pytest.mark.parametrize("file_format", ["stl", "ply", "obj"])
@pytest.mark.parametrize("room", [50, 3000], ids=["no room for a header", "room for a part"])
def test_on_a_full_disk_nothing_appears_and_what_was_there_stays(surfaces, tmp_path, file_format, room):
    write_surfaces(surfaces, tmp_path, file_format="ply")
    before = tree(tmp_path)
    with no_file_over(room), pytest.raises(OutputError):
        write_surfaces(surfaces, tmp_path, file_format=file_format, overwrite=True)
    assert tree(tmp_path) == before


@pytest.mark.skipif(
    sys.platform == "win32" or (hasattr(os, "geteuid") and os.geteuid() == 0), reason="needs a folder closed to us"
)
def test_a_folder_that_cannot_be_written_is_told(surfaces, tmp_path):
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(OutputError, match="cannot be written"):
            write_surfaces(surfaces, tmp_path, file_format="stl")
        assert tree(tmp_path) == {}
    finally:
        tmp_path.chmod(0o700)


def test_a_file_in_the_place_of_the_folder_is_told(surfaces, tmp_path):
    (tmp_path / "out").write_text("a file", encoding="utf-8")
    with pytest.raises(OutputError, match="is a file"):
        write_surfaces(surfaces, tmp_path / "out", file_format="stl")


def test_cancelling_while_writing_leaves_no_folder(surfaces, tmp_path):
    token = CancelToken()
    with pytest.raises(Cancelled):
        write_surfaces(surfaces, tmp_path / "new", file_format="stl", cancel=token, progress=lambda *_: token.cancel())
    assert tree(tmp_path) == {}


def test_what_cannot_be_written_is_refused_before_a_folder_is_made(surfaces, tmp_path):
    for wrong, told in (({"file_format": "vtk"}, "format is 'vtk'"), ({"file_format": "stl", "frame": "XYZ"}, "frame is 'XYZ'")):
        with pytest.raises(InputError, match=told):
            write_surfaces(surfaces, tmp_path / "new", **wrong)
    with pytest.raises(InputError, match="none of the chosen segments has a voxel"):
        write_surfaces(surfaces[2:], tmp_path / "new", file_format="stl")
    assert tree(tmp_path) == {}
