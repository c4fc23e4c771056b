"""What the Extensions Index checks, as far as it can be checked without the network.

The rules and the categories are those of `scripts/check_description_files.py` of the Slicer/ExtensionsIndex
repository at commit 07f1d1b2781c7dd9f6e2a9f5521b3ed43631724c (2026-08-07).
"""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urlsplit

from conformance.rules.files import project_files

NAME = "OncoSegment"
PLACEHOLDER = "OWNER/SlicerOncoSegment"
LIMIT_BYTES = 100 * 1024 * 1024
DEPENDENCIES = {"PyTorch", "NNUNet"}
CATEGORIES = {
    "Active Learning", "Analysis", "Auto3dgm", "BigImage", "Cardiac", "Chest Imaging Platform", "Conda", "Converters",
    "DICOM", "DSCI", "Developer Tools", "Diffusion", "Examples", "Exporter", "FTV Segmentation", "Filtering",
    "Filtering.Morphology", "Filtering.Vesselness", "Holographic Display", "Image Synthesis", "IGT", "Informatics",
    "Netstim", "Neuroimaging", "Nuclear Medicine", "Orthodontics", "Osteotomy Planning", "Otolaryngology",
    "Photogrammetry", "Pipelines", "Planning", "Printing", "Quantification", "Radiotherapy", "Registration", "Remote",
    "Rendering", "SPHARM", "Segmentation", "Sequences", "Shape Analysis", "Shape Regression", "Shape Visualization",
    "Simulation", "SlicerCMF", "SlicerMorph", "Spectral Imaging", "Supervisely", "Surface Models", "SurfaceLearner",
    "Tomographic Reconstruction", "Tracking", "Tractography", "Training", "Ultrasound", "Utilities",
    "Vascular Modeling Toolkit", "Virtual Reality", "VisSimTools", "Web System Tools", "Wizards",
}


def cmake_text(root: Path) -> str:
    """The top CMakeLists.txt."""
    return (root / "CMakeLists.txt").read_text(encoding="utf-8")


def setting(root: Path, name: str) -> str:
    """The text of `set(EXTENSION_<name> "...")`, or an empty one."""
    found = re.search(rf'^set\(EXTENSION_{name} "([^"]*)"\)', cmake_text(root), re.MULTILINE)
    return found.group(1) if found else ""


def meta_violations(root: Path) -> list[str]:
    """Name, category, people, description and dependencies of the extension."""
    project = re.search(r"project\s*\(\s*([^\s)]+)", cmake_text(root))
    lines = [] if project and project.group(1) == NAME else [f"CMakeLists.txt: the project is not called {NAME}"]
    if NAME.lower().startswith("slicer"):
        lines.append("the name of an extension does not start with Slicer")
    if setting(root, "CATEGORY") not in CATEGORIES:
        lines.append(f"CMakeLists.txt: the Index has no category '{setting(root, 'CATEGORY')}'")
    if not setting(root, "CONTRIBUTORS"):
        lines.append("CMakeLists.txt: no contributors")
    if len(setting(root, "DESCRIPTION").split()) < 20:
        lines.append("CMakeLists.txt: the description does not say what the extension does")
    if set(setting(root, "DEPENDS").split()) != DEPENDENCIES:
        lines.append(f"CMakeLists.txt: depends on '{setting(root, 'DEPENDS')}', wanted {sorted(DEPENDENCIES)}")
    return lines


def form_violations(root: Path) -> list[str]:
    """The lines that Slicer's build of an extension needs, in their order, and each module's folder."""
    text = cmake_text(root)
    wanted = ["cmake_minimum_required(", "project(", "find_package(Slicer REQUIRED)", "include(${Slicer_USE_FILE})"]
    wanted += [f"add_subdirectory({name})" for name in ("ModelManager", "OncoSegment", "LongitudinalCompare")]
    wanted += ["## NEXT_MODULE", "include(${Slicer_EXTENSION_GENERATE_CONFIG})", "include(${Slicer_EXTENSION_CPACK})"]
    places = [text.find(line) for line in wanted]
    lines = [f"CMakeLists.txt: lacks {line}" for line, place in zip(wanted, places, strict=True) if place < 0]
    return lines if lines or places == sorted(places) else ["CMakeLists.txt: the lines are not in the Index's order"]


def url_violations(root: Path) -> list[str]:
    """Homepage and pictures by https, in a repository called Slicer..., and the pictures lie in the tree."""
    lines = []
    homepage = urlsplit(setting(root, "HOMEPAGE"))
    if homepage.scheme != "https" or not homepage.path.strip("/").rpartition("/")[2].startswith("Slicer"):
        lines.append(f"CMakeLists.txt: homepage '{setting(root, 'HOMEPAGE')}' is no https address of a Slicer... repository")
    pictures = [*setting(root, "ICONURL").split(), *setting(root, "SCREENSHOTURLS").split()]
    if len(pictures) < 2:
        lines.append("CMakeLists.txt: an icon and at least one screenshot are wanted")
    for address in pictures:
        lines += picture_violations(root, address)
    return lines


def picture_violations(root: Path, address: str) -> list[str]:
    """One picture: a raw https address on the main branch, and the PNG file that it will show."""
    parts = urlsplit(address)
    repository, _, path = parts.path.strip("/").partition("/main/")
    if parts.scheme != "https" or parts.netloc != "raw.githubusercontent.com" or not path.endswith(".png"):
        return [f"CMakeLists.txt: '{address}' is no raw https address of a PNG on the main branch"]
    if repository != urlsplit(setting(root, "HOMEPAGE")).path.strip("/"):
        return [f"CMakeLists.txt: '{address}' is not in the repository of the homepage"]
    file = root / path
    if not file.is_file() or not file.read_bytes().startswith(b"\x89PNG\r\n\x1a\n"):
        return [f"{path}: not there, or no PNG"]
    return []


def license_violations(root: Path) -> list[str]:
    """The whole text of Apache-2.0 in the root."""
    file = root / "LICENSE"
    text = file.read_text(encoding="utf-8") if file.is_file() else ""
    parts = ("Apache License", "Version 2.0, January 2004", "9. Accepting Warranty", "END OF TERMS AND CONDITIONS")
    return [f"LICENSE: lacks '{part}'" for part in parts if part not in text]


def size_violations(root: Path) -> list[str]:
    """The Index counts the checkout with its .git folder, which holds each file once more."""
    total = 2 * sum(file.stat().st_size for file in project_files(root))
    return [] if total < LIMIT_BYTES else [f"the tree and its history have {total} bytes, the limit is {LIMIT_BYTES}"]


def open_placeholders(root: Path) -> list[str]:
    """Places that still name the placeholder of the public home."""
    lines = []
    for name in ("CMakeLists.txt", "README.md"):
        file = root / name
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines() if file.is_file() else [], start=1):
            if PLACEHOLDER in line:
                lines.append(f"{name}:{number}")
    return lines
