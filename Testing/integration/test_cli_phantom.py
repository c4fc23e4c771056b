"""`oncosegment phantom`: what the list of lesions says of a scan that does not cover them all, and of sequences."""

from __future__ import annotations

from helpers_cli import run_here


def test_lesions_outside_of_the_image_have_no_numbers_in_the_list(tmp_path):
    done = run_here("phantom", "--output", "p", "--region", "abdomen", "--spacing", 8, 8, 8, cwd=tmp_path)
    assert done.code == 0, done.err
    lines = {line[2:36].strip(): line[36:] for line in done.out.splitlines() if line.startswith("  ")}
    assert lines["Lung nodule 1"].strip() == "outside of the image"
    assert lines["Liver metastasis 1"].split()[:2] == ["14.14", "ml,"] and "image" not in lines["Liver metastasis 1"]


def test_a_cut_lesion_says_so():
    from OncoAppLib.phantom import line

    told = line({"name": "Node", "volume_ml": 2.0, "in_field_of_view": "cut"}, ", in plane 3.0 x 2.0 mm")
    assert told.endswith("2.00 ml, in plane 3.0 x 2.0 mm; cut by the edge of the image, these are the numbers of the whole")


def test_sequences_of_one_date_share_one_list(tmp_path):
    """4/3 pi 20 x 23 x 17 mm is 32.76 ml, 13 x 15.5 x 11.5 is 9.71, 7 x 9 x 6 is 1.58."""
    done = run_here("phantom", "--output", "b", "--brain", "--spacing", 6, 6, 6, cwd=tmp_path)
    assert done.code == 0, done.err
    assert done.out.splitlines()[0] == "20260105 T1, T1c, T2, FLAIR"
    found = {line[2:36].strip(): float(line[36:].split()[0]) for line in done.out.splitlines() if " ml" in line}
    assert found == {"Whole tumor": 32.76, "Tumor core": 9.71, "Necrosis": 1.58, "Edema": 23.05, "Enhancing tumor": 8.12}
    assert done.out.count("Necrosis") == 1
