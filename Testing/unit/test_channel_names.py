"""Which contrast a name or a header means: a table of names as they are found, and what times and contrast agents decide."""

from __future__ import annotations

import pytest

from OncoSegmentLib.multiparametric.dicom_tags import guess_of_header
from OncoSegmentLib.multiparametric.names import guess

TABLE = """
BraTS-GLI-00000-000-t1n.nii.gz | t1
BraTS-GLI-00000-000-t1c.nii.gz | t1c
BraTS-GLI-00000-000-t2w.nii.gz | t2
BraTS-GLI-00000-000-t2f.nii.gz | flair
BraTS20_Training_001_t1.nii.gz | t1
BraTS20_Training_001_t1ce.nii.gz | t1c
BraTS20_Training_001_seg.nii.gz | mask
flair.nii.gz | flair
t1c_bet.nii.gz | t1c
fla_bet.nii.gz | flair
t1_bet.nii.gz | t1
t2_bet.nii.gz | t2
T1wCE.nii | t1c
T1Gd.mha | t1c
t1post.nii.gz | t1c
sub-01_T1w.nii.gz | t1
sub-ce01_T1w.nii.gz | t1
Reference patient T1c 20260105 | t1c
AX T1 POST | t1c
AX T1 PRE | t1
Ax T1 w/o contrast | t1
ax t1 non-contrast | t1
T1 post-op | t1
T1 MPRAGE +C | t1c
MPRAGE post gad | t1c
T1W_3D_TFE_C+ | t1c
AX BRAVO GD | t1c
SAG MPRAGE | t1
t1_mprage_sag_p2_iso_KM | t1c
t1_tse_tra_nativ | t1
T1-weighted | t1
T1 FLAIR | t1
AX T1 FLAIR +C | t1c
SAG T2 FLAIR FS | flair
3D FLAIR | flair
FLAIR POST | flair
t2_tirm_tra_dark-fluid | flair
T2 TSE COR | t2
AX T2 FSE post | t2
T2* | t2star
T2* GRE | t2star
SWI_Images | swi
DWI | dwi
ADC | adc
ep2d_diff_b1000_ADC | adc
DSC_PERF | perfusion
IXI012-HH-1211-PD.nii.gz | pd
T1 SUB | subtraction
Localizer | localizer
Ax T1 W/WO | t1 t1c
AX T1 PRE AND POST | t1 t1c
t1_t2_overlay.nii.gz | t1 t1c t2
t1 adc mask.nii.gz |
brain.nii.gz |
postcontrast |
image_0001.nii.gz |
"""
ROWS = [tuple(part.strip() for part in line.split("|")) for line in TABLE.strip().splitlines()]


@pytest.mark.parametrize(("name", "kinds"), ROWS, ids=[name for name, _kinds in ROWS])
def test_names(name, kinds):
    assert sorted(guess(name).kinds) == kinds.split()


HEADERS = [
    # description, further tags, kinds
    ("AX T1", {}, "t1"),
    ("AX T1", {"ContrastBolusAgent": "Gadovist"}, "t1c"),
    ("AX T1", {"ContrastBolusAgent": "NONE"}, "t1"),
    ("AX T1 PRE", {"ContrastBolusAgent": "Gadovist"}, "t1 t1c"),
    ("AX T2 FLAIR", {"ContrastBolusAgent": "Gadovist"}, "flair"),
    ("AX FLAIR", {"ScanningSequence": "SE\\IR", "EchoTime": 125, "RepetitionTime": 9000, "InversionTime": 2500}, "flair"),
    ("AX FLAIR", {"ScanningSequence": "SE\\IR", "EchoTime": 9, "RepetitionTime": 2200, "InversionTime": 860}, "flair t1"),
    ("AX T1 FLAIR", {"ScanningSequence": "SE\\IR", "EchoTime": 9, "RepetitionTime": 2200, "InversionTime": 860}, "t1"),
    ("HEAD", {"ScanningSequence": "SE", "EchoTime": 12, "RepetitionTime": 600}, "t1"),
    ("HEAD", {"ScanningSequence": ["SE"], "EchoTime": "12", "RepetitionTime": "600", "ContrastBolusAgent": "Gd"}, "t1c"),
    ("HEAD", {"ScanningSequence": "SE", "EchoTime": 100, "RepetitionTime": 4000}, "t2"),
    ("HEAD", {"ScanningSequence": "SE", "EchoTime": 45, "RepetitionTime": 1500}, ""),
    ("HEAD", {"ScanningSequence": "GR\\IR", "EchoTime": 3, "RepetitionTime": 2300, "InversionTime": 900}, "t1"),
    ("HEAD", {"ScanningSequence": "EP", "EchoTime": 90, "RepetitionTime": 5000}, ""),
    ("HEAD", {"ImageType": ["DERIVED", "PRIMARY", "ADC"]}, "adc"),
    ("AX T2", {"ScanningSequence": "SE", "EchoTime": 12, "RepetitionTime": 600}, "t1 t2"),
    ("", {"ProtocolName": "t1_mprage +C"}, "t1c"),
    ("HEAD", {"EchoTime": "x", "RepetitionTime": None}, ""),
]


@pytest.mark.parametrize(("description", "more", "kinds"), HEADERS)
def test_headers(description, more, kinds):
    assert sorted(guess_of_header({"SeriesDescription": description, **more}).kinds) == kinds.split()
