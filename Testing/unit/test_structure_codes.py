"""Codes of our structures, held against published lists that the table was not made from."""

from __future__ import annotations

import pytest

from OncoLib import terminology as term

SLICER_MASTER = {
    **{"liver": "10200004", "spleen": "78961009", "adrenal_gland": "23451007", "femur": "71341001"},
    **{"humerus": "85050009", "scapula": "79601000", "clavicle": "51299004", "sternum": "56873002"},
    **{"trachea": "44567001", "esophagus": "32849002", "colon": "71854001", "duodenum": "38848004"},
    **{"subclavian_artery": "36765005", "common_carotid_artery": "32062004", "inferior_vena_cava": "64131007"},
    **{"superior_vena_cava": "48345005", "pulmonary_artery": "81040000", "renal_artery": "2841007"},
    **{"upper_lobe_of_lung": "45653009", "middle_lobe_of_right_lung": "72481006", "lower_lobe_of_lung": "90572001"},
    **{"cerebellum": "113305005", "frontal_lobe": "83251001", "pectoralis_major": "60005003", "deltoid": "35259002"},
    **{"erector_spinae": "44947003", "trapezius": "31764008", "hyoid_bone": "21387005", "mandible": "91609006"},
    **{"maxilla": "70925003", "parotid_gland": "45289007", "prostate": "41216001", "spinal_cord": "2748008"},
    **{"left_atrial_appendage": "33626005", "third_ventricle": "49841001", "coronary_artery": "41801008"},
    **{"left_ventricular_outflow_tract": "13418002", "brainstem": "119238007"},
}
"""3D Slicer, SegmentationCategoryTypeModifier-DICOM-Master.json; our table has these codes from pydicom."""

MCODE_AND_EHDSI = {
    **{"rib_1": "48535007", "rib_2": "78247007", "rib_3": "25888004", "rib_4": "25523003", "rib_5": "15339008"},
    **{"rib_6": "59558009", "rib_7": "24915002", "rib_8": "5953002", "rib_9": "22565002", "rib_10": "77644006"},
    **{"rib_11": "58830002", "rib_12": "43993008", "rib_13": "1193560003", "vertebra_s1": "65985001"},
    **{"masseter": "79368004", "temporalis": "52927003", "lateral_pterygoid": "88938001"},
    **{"medial_pterygoid": "85002005", "digastric": "52410001", "platysma": "18252004", "hard_palate": "90228003"},
    **{"thyroid_cartilage": "52940008", "cricoid_cartilage": "8600008"},
}
"""In both the mCODE map of TG-263 and the eHDSI body sites; our table has most from TotalSegmentator's lists."""

EHDSI = {
    **{"myocardium": "74281007", "intervertebral_disc": "360499006", "vertebral_body": "3572006"},
    **{"metatarsal_bones": "53884002", "zygomatic_arch": "51204001", "iliopsoas": "68455001"},
    **{"posterior_muscles_of_thigh": "128511007"},
}
"""eHDSI body sites 8.1.0; our table has them from TotalSegmentator's lists."""

SILPH = {
    **{"lateral_rectus": "31836009", "medial_rectus": "24937009", "superior_rectus": "5815008"},
    **{"inferior_rectus": "47869003", "superior_oblique": "66041005", "inferior_oblique": "57516003"},
    **{"levator_palpebrae_superioris": "58641002", "quadriceps_femoris": "21989003", "levator_scapulae": "11327007"},
    **{"superior_pharyngeal_constrictor": "82182001", "styloid_process": "279226000"},
}
"""SILPH list of body sites; our table has them from the TotalSegmentator extension of 3D Slicer."""

INDEPENDENT = {**SLICER_MASTER, **MCODE_AND_EHDSI, **EHDSI, **SILPH}


@pytest.mark.parametrize("structure_id", INDEPENDENT)
def test_codes_stand_in_a_second_list_too(structure_id):
    code = term.structure(structure_id).entry.type
    assert (code.scheme, code.value) == ("SCT", INDEPENDENT[structure_id])


WRONG_IN_A_PUBLIC_LIST = {
    "psoas_major": "64038003",  # an intercostal lymph node in DICOM's dictionary
    "tooth_13": "17505006",  # a deciduous molar in DICOM's dictionary
    "subclavian_artery": "29700009",  # the right one alone in DICOM's dictionary
}


@pytest.mark.parametrize("structure_id", WRONG_IN_A_PUBLIC_LIST)
def test_a_code_of_something_else_is_not_ours(structure_id):
    assert term.structure(structure_id).entry.type.value != WRONG_IN_A_PUBLIC_LIST[structure_id]


def test_lesions_have_a_type_and_a_place():
    places = {"lung": "39607008", "liver": "10200004", "kidney": "64033007", "bone": "272673000"}
    places |= {"vertebra": "51282000", "lymph_node": "59441001", "brain": "12738006"}
    for place, value in places.items():
        for kind, type_value in (("neoplasm", "108369006"), ("lesion", "52988006")):
            entry = term.structure(f"{place}_{kind}").entry
            assert (entry.category.value, entry.type.value, entry.region.value) == ("49755003", type_value, value)


def test_the_parts_of_a_brain_tumor_are_four_codes():
    parts = ("brain_tumor_enhancing", "brain_tumor_nonenhancing", "brain_tumor_necrosis", "brain_edema")
    codes = {(entry.type.scheme, entry.type.value) for entry in (term.structure(part).entry for part in parts)}
    assert codes == {("NCIt", "C113842"), ("NCIt", "C81175"), ("SCT", "6574001"), ("SCT", "79654002")}
    assert all(term.structure(part).entry.region.value == "12738006" for part in parts)
