"""The doctor: each trap is set up, as far as it can be, and found with its repair; the support file tells no names."""

from __future__ import annotations

import json
import os
import sys
import textwrap
from pathlib import Path

import pytest

from ModelManagerLib import doctor, doctor_checks, doctor_models, doctor_network, doctor_packages, doctor_torch
from ModelManagerLib.doctor import Situation, examine
from ModelManagerLib.environment import environment, free_memory_gb
from ModelManagerLib.finding import FAIL, OK, STATES, UNKNOWN, WARN, Finding, worst
from ModelManagerLib.support_file import Scrubber, support_facts, write_support_file
from OncoLib.errors import Cancelled, OutputError
from OncoLib.progress import CancelToken

REAL_TORCH = {
    "installed": True,
    "version": "2.13.0",
    "cuda": "12.8",
    "hip": None,
    "mps": False,
    "available": True,
    "torchvision": "works",
}
GPU = {"name": "RTX", "capability": [8, 6], "free": 20e9, "total": 24e9, "works": True}
ROOT, DRIVE = "/", "C:\\"
"""Absolute paths are put together here: the tree itself names none."""

BUILD = ["sm_75", "sm_80", "sm_86", "sm_90"]


def states(findings) -> list[str]:
    """In order."""
    return [finding.state for finding in findings]


def only(findings) -> Finding:
    """The only one."""
    assert len(findings) == 1, findings
    return findings[0]


def situation(tmp_path: Path, **changes) -> Situation:
    """A machine of its own, with an empty environment, and no wait."""
    (tmp_path / "home").mkdir(exist_ok=True)
    return Situation(**{"environ": {}, "home": tmp_path / "home", "temporary": tmp_path, "store": tmp_path / "store", **changes})


# The whole


def test_every_part_is_looked_at_and_nothing_heavy_is_loaded_here(tmp_path):
    told = []
    before = set(sys.modules)
    findings = examine(situation(tmp_path), progress=lambda fraction, message: told.append(fraction))
    subjects = {finding.subject for finding in findings}
    assert {
        "Python",
        "Memory",
        "Disk, model store",
        "Model store",
        "Clock",
        "Packages",
        "PyTorch",
        "Proxy",
        "Keyring",
    } <= subjects
    assert all(finding.state in STATES and finding.sentence.endswith((".", "!")) for finding in findings), findings
    assert all(finding.repair for finding in findings if finding.state == FAIL)
    assert told == sorted(told) and told[-1] == 1.0
    assert not {"torch", "torchvision", "nnunetv2", "keyring"} & (set(sys.modules) - before)
    assert not (tmp_path / "store").exists() and not list((tmp_path / "home").iterdir())


def test_a_check_that_breaks_is_told_and_the_others_go_on(tmp_path, monkeypatch):
    monkeypatch.setattr(doctor_checks, "clock_findings", lambda now: 1 / 0)
    findings = examine(situation(tmp_path, timeout_s=0.01))
    broken = only([finding for finding in findings if finding.subject == "clock"])
    assert broken.state == UNKNOWN and "ZeroDivisionError" in broken.sentence
    assert any(finding.subject == "Packages" for finding in findings)


def test_it_can_be_cancelled(tmp_path):
    cancel = CancelToken()
    cancel.cancel()
    with pytest.raises(Cancelled):
        examine(situation(tmp_path), cancel=cancel)


def test_the_worst_state_decides():
    one = [Finding("a", OK, "."), Finding("b", WARN, "."), Finding("c", UNKNOWN, ".")]
    assert worst([]) == OK and worst(one) == WARN and worst([*one, Finding("d", FAIL, ".")]) == FAIL


# Machine


@pytest.mark.parametrize(
    ("version", "bits", "state"),
    [((3, 11, 7), True, OK), ((3, 9, 1), True, FAIL), ((3, 14, 0), True, WARN), ((3, 11, 7), False, FAIL)],
)
def test_python(version, bits, state):
    assert only(doctor_checks.python_findings(version, bits)).state == state


@pytest.mark.parametrize(
    ("total", "free", "state"), [(64, 60, OK), (64, 3, WARN), (4, 3, WARN), (12, 9, OK), (None, None, UNKNOWN), (16, None, OK)]
)
def test_memory(total, free, state):
    assert doctor_checks.judged_memory(total, free).state == state


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_free_memory_is_what_linux_says_and_less_than_all():
    kilobytes = int(Path("/proc/meminfo").read_text().split("MemAvailable:")[1].split()[0])
    assert free_memory_gb() == pytest.approx(kilobytes * 1024 / 1e9, rel=0.2)
    assert 0 < free_memory_gb() < environment().memory_gb


@pytest.mark.parametrize(
    ("place", "free", "state"),
    [("model store", 100, OK), ("model store", 3, WARN), ("home folder", 3, OK), ("home folder", 0.2, FAIL)],
)
def test_disk(place, free, state):
    assert doctor_checks.judged_disk(place, free).state == state


def test_free_space_of_a_folder_that_is_not_there_yet_is_that_above(tmp_path):
    assert doctor_checks.free_gb(tmp_path / "a" / "b") == pytest.approx(doctor_checks.free_gb(tmp_path), rel=0.01)


@pytest.mark.parametrize(
    ("path", "words"),
    [
        (f"{DRIVE}Users\\M\u00fcller\\models", ["outside ASCII"]),
        ("C:\\My Models", ["a space"]),
        ("D:\\" + "x" * 150, ["longer than Windows' 260"]),
        ("C:\\Models", []),
    ],
)
def test_paths_on_windows(path, words, monkeypatch):
    monkeypatch.setattr(doctor_checks, "long_paths_enabled", lambda: False)
    findings = doctor_checks.path_findings({"model store": path}, "Windows")
    assert [finding.state for finding in findings if words] == [WARN if "260" not in word else FAIL for word in words]
    assert all(word in finding.sentence and "ONCOSEGMENT_MODELS" in finding.repair for word, finding in zip(words, findings))
    assert all(path not in finding.sentence + finding.repair for finding in findings if words)


def test_the_longest_path_that_is_reckoned_with_is_that_of_the_catalogue():
    from ModelManagerLib.catalog import built_in_cards

    inside = [f"{card.place}/{file.path}" for card in built_in_cards() for file in card.files]
    longest = max((len(path.replace("checkpoint_final.pth", "checkpoint_final.twin.safetensors")) for path in inside), default=0)
    assert longest <= doctor_checks.LONGEST_INSIDE


def test_spaces_and_letters_are_no_trouble_elsewhere():
    found = doctor_checks.path_findings({"model store": Path(f"{ROOT}srv/M\u00fcller models")}, "Linux")
    assert states(found) == [OK]


@pytest.mark.parametrize(("now", "state"), [(0, FAIL), (1_800_000_000, OK), (4_102_444_800, FAIL)])
def test_a_clock_that_cannot_be_right(now, state):
    """1970, 2027 and 2100."""
    assert only(doctor_checks.clock_findings(now)).state == state


def test_the_store(tmp_path):
    assert only(doctor_checks.store_findings(None, None)).state == FAIL
    assert only(doctor_checks.store_findings(None, tmp_path / "new")).sentence.endswith("made when needed.")
    assert only(doctor_checks.store_findings(None, tmp_path)).state == OK
    (tmp_path / "file").write_text("")
    assert only(doctor_checks.store_findings(None, tmp_path / "file")).state == FAIL
    assert list(tmp_path.iterdir()) == [tmp_path / "file"]


def test_a_store_that_cannot_be_written_still_runs_its_models(tmp_path, monkeypatch):
    def refuse(**options):
        raise PermissionError(13, "refused")

    monkeypatch.setattr(doctor_checks.tempfile, "TemporaryFile", refuse)
    assert only(doctor_checks.store_findings(None, tmp_path)).state == WARN
    assert only(doctor_checks.store_findings(None, tmp_path / "none")).state == FAIL


def test_a_store_on_a_disk_with_another_clock_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(doctor_checks.time, "time", lambda: 1_000_000.0)
    found = only(doctor_checks.store_findings(None, tmp_path))
    assert found.state == WARN and "s ahead" in found.sentence


def test_a_setting_of_the_store_that_cannot_be_used_is_told(tmp_path):
    chosen = situation(tmp_path, store=None, environ={"ONCOSEGMENT_MODELS": "relative/folder"})
    assert doctor_checks.store_folder(chosen) is None
    named = situation(tmp_path, store=None, environ={"ONCOSEGMENT_MODELS": str(tmp_path / "mine")})
    assert doctor_checks.store_folder(named) == tmp_path / "mine"


# Network


def test_values_of_the_environment_are_never_told():
    secret = "http://maria:hunter2@proxy.hospital.example:3128"
    environ = {"HTTPS_PROXY": secret, "NO_PROXY": "intranet.hospital.example", "SSL_CERT_FILE": "/etc/maria/hospital.pem"}
    text = json.dumps([finding.as_dict() for finding in doctor_network.network_findings(environ)])
    assert "HTTPS_PROXY, NO_PROXY" in text
    for word in ("maria", "hunter2", "hospital", "3128"):
        assert word not in text


@pytest.mark.parametrize(
    ("environ", "state"),
    [
        ({}, OK),
        ({"https_proxy": "http://proxy:3128"}, OK),
        ({"HTTPS_PROXY": "proxy:3128"}, OK),
        ({"HTTPS_PROXY": "http://"}, FAIL),
        ({"HTTPS_PROXY": "http://proxy:port"}, FAIL),
        ({"HTTPS_PROXY": "http://a:1", "https_proxy": "http://b:1"}, WARN),
    ],
)
def test_proxies(environ, state):
    assert only(doctor_network.proxy_findings(environ)).state == state


def test_certificates_are_there_or_not(tmp_path):
    (tmp_path / "ca.pem").write_text("")
    environ = {"REQUESTS_CA_BUNDLE": str(tmp_path / "ca.pem"), "SSL_CERT_FILE": str(tmp_path / "gone.pem")}
    findings = doctor_network.certificate_findings(environ)
    assert states(findings) == [OK, FAIL] and "SSL_CERT_FILE" in findings[1].repair
    assert states(doctor_network.certificate_findings({})) == [OK]


def test_offline_mode():
    assert "off" in doctor_network.offline_finding({}).sentence
    found = doctor_network.offline_finding({"ONCOSEGMENT_OFFLINE": "1"})
    assert "is on" in found.sentence and found.repair == "To fetch models, unset ONCOSEGMENT_OFFLINE."
    broken = doctor_network.offline_finding({"ONCOSEGMENT_MIRRORS": "{maria"})
    assert broken.state == UNKNOWN and broken.repair == "Correct ONCOSEGMENT_MIRRORS." and "maria" not in broken.sentence


@pytest.mark.parametrize(
    ("answer", "state"),
    [
        (None, WARN),
        ({"installed": False}, OK),
        ({"installed": True, "backend": "keyring.backends.fail.Keyring"}, WARN),
        ({"installed": True, "backend": "keyring.backends.SecretService.Keyring"}, OK),
    ],
)
def test_keyrings(answer, state):
    assert only(doctor_network.keyring_findings(answer)).state == state


# Packages


def distribution(folder: Path, name: str, version: str, *requires: str) -> None:
    """An installed distribution, as installers leave it."""
    info = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}", *(f"Requires-Dist: {text}" for text in requires)]
    (info / "METADATA").write_text("\n".join(lines) + "\n")


def test_the_known_traps_are_found_with_their_repairs(tmp_path):
    distribution(tmp_path, "numpy", "2.4.6")
    distribution(tmp_path, "torch", "2.9.1")
    distribution(tmp_path, "vtk", "9.6.2")
    distribution(tmp_path, "timm", "1.0.25")
    distribution(tmp_path, "antspyx", "0.6.3", "numpy<2.4")
    distribution(tmp_path, "nnunetv2", "2.8.1", "torch!=2.9.*,>=2.1.2", 'hiddenlayer; extra == "dev"')
    distribution(tmp_path, "slicer-core", "5.12.4.0", "vtk==9.6.0")
    distribution(tmp_path, "torchvision", "0.28.0", "torch==2.13.0")
    distribution(tmp_path, "dynamic_network_architectures", "0.4.4", "timm<1.0.23")
    found = {finding.subject: finding for finding in doctor_packages.package_findings([str(tmp_path)])}
    expected = {
        "Package antspyx": ("numpy<2.4; 2.4.6 is installed", "runtime install registration"),
        "Package nnunetv2": ("torch!=2.9.*,>=2.1.2; 2.9.1 is installed", "another torch than 2.9"),
        "Package slicer-core": ("vtk==9.6.0; 9.6.2 is installed", "vtk==9.6.0"),
        "Package torchvision": ("torch==2.13.0; 2.9.1 is installed", "keep torch as it is"),
        "Package dynamic-network-architectures": ("timm<1.0.23; 1.0.25 is installed", 'pip install "timm<1.0.23"'),
    }
    assert set(found) == {"Packages", *expected}
    for subject, (sentence, repair) in expected.items():
        assert found[subject].state == FAIL and sentence in found[subject].sentence and repair in found[subject].repair, subject


def test_a_local_build_and_a_missing_or_foreign_requirement(tmp_path):
    distribution(tmp_path, "torch", "2.13.0+cpu")
    distribution(tmp_path, "torchvision", "0.28.0", "torch==2.13.0")
    distribution(tmp_path, "somebody-else", "1", "numpy>=1", 'colorama; sys_platform == "nowhere"', "not a requirement ???")
    findings = doctor_packages.package_findings([str(tmp_path)])
    assert [(finding.subject, finding.state) for finding in findings] == [("Packages", OK), ("Package somebody-else", WARN)]
    assert "numpy>=1; it is not installed" in findings[1].sentence and findings[1].repair == 'pip install "numpy>=1"'


def test_two_versions_of_one_package_are_told(tmp_path):
    distribution(tmp_path / "first", "numpy", "1.26.4")
    distribution(tmp_path / "second", "numpy", "2.4.6")
    findings = doctor_packages.package_findings([str(tmp_path / "first"), str(tmp_path / "second")])
    assert [finding.state for finding in findings] == [OK, WARN]
    assert "as 1.26.4 and 2.4.6; the first is used" in findings[1].sentence and "numpy 1.26.4" in findings[0].sentence


def test_conflicts_of_this_environment_are_those_that_pip_finds():
    import subprocess

    done = subprocess.run([sys.executable, "-m", "pip", "check", "--no-color"], capture_output=True, text=True)
    found = [one for one in doctor_packages.conflicts(doctor_packages.installed(sys.path))]
    if done.returncode == 0:
        assert found == []
    else:
        for one in found:
            assert one.package in doctor_packages.normal(done.stdout + done.stderr)


# PyTorch


@pytest.mark.parametrize(
    ("facts", "driver", "wanted"),
    [
        ({"error": "hung"}, None, [FAIL]),
        ({"error": "crashed", "code": -11}, None, [FAIL]),
        ({"installed": False}, None, [WARN]),
        ({"installed": True, "error": "OSError"}, None, [FAIL]),
        ({**REAL_TORCH, "version": "2.5.1", "devices": [GPU], "architectures": BUILD}, None, [FAIL, OK]),
        ({**REAL_TORCH, "version": "2.8.0+cu128", "devices": [GPU], "architectures": BUILD}, None, [WARN, OK]),
        ({**REAL_TORCH, "devices": []}, None, [OK, OK]),
        ({**REAL_TORCH, "devices": [], "cuda": None}, {"driver": "580.1", "cuda": "13.0"}, [OK, WARN]),
        ({**REAL_TORCH, "devices": [], "cuda": "13.0"}, {"driver": "550.54", "cuda": "12.4"}, [OK, FAIL]),
        ({**REAL_TORCH, "devices": []}, {"driver": "550.54", "cuda": "12.4"}, [OK, FAIL]),
        ({**REAL_TORCH, "devices": []}, {"driver": "", "cuda": ""}, [OK, FAIL]),
        ({**REAL_TORCH, "devices": [], "mps": True}, None, [OK, OK]),
        (
            {**REAL_TORCH, "devices": [{**GPU, "works": False, "error": "AcceleratorError"}], "architectures": BUILD},
            None,
            [OK, FAIL],
        ),
        ({**REAL_TORCH, "devices": [{**GPU, "free": 2e9}], "architectures": BUILD}, None, [OK, WARN]),
        ({**REAL_TORCH, "devices": [GPU, {**GPU, "capability": [12, 0]}], "architectures": BUILD}, None, [OK, OK, FAIL]),
    ],
)
def test_torch_driver_and_gpu(facts, driver, wanted):
    findings = doctor_torch.torch_findings(facts, driver, "Linux")
    assert states(findings) == wanted
    assert all(finding.repair for finding in findings if finding.state == FAIL)


@pytest.mark.parametrize(
    ("capability", "build", "fits"),
    [
        ((8, 9), ["sm_80", "sm_86"], True),
        ((8, 0), ["sm_86"], False),
        ((12, 0), ["sm_80", "sm_90"], False),
        ((12, 0), ["sm_90", "compute_90"], True),
        ((12, 0), ["sm_120"], True),
        ((6, 1), ["sm_75", "compute_90"], False),
    ],
)
def test_which_gpu_a_build_knows(capability, build, fits):
    """NVIDIA: machine code runs on GPUs of its own generation that are not older; code of a virtual architecture on all newer."""
    assert doctor_torch.fits(capability, build) == fits
    finding = doctor_torch.device_finding({**GPU, "capability": list(capability)}, build)
    assert finding.state == (OK if fits else FAIL)
    assert fits or ("newer" in finding.sentence) == (capability > (9, 0))


def test_torchvision_of_another_build():
    assert doctor_torch.torchvision_findings(REAL_TORCH) == doctor_torch.torchvision_findings({}) == []
    found = only(doctor_torch.torchvision_findings({**REAL_TORCH, "torchvision": "RuntimeError"}))
    assert found.state == FAIL and "ends in RuntimeError" in found.sentence
    assert only(doctor_torch.torchvision_findings({**REAL_TORCH, "torchvision": "missing"})).state == WARN


def fake_torch(folder: Path, code: str, monkeypatch) -> None:
    """A package torch that does this when it is imported."""
    (folder / "torch").mkdir()
    (folder / "torch" / "__init__.py").write_text(textwrap.dedent(code))
    monkeypatch.setenv("PYTHONPATH", str(folder))


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("import os; os.abort()", "crashed"),
        ("import time; time.sleep(60)", "hung"),
        ("raise OSError('a library is missing')", "OSError"),
        ("raise RuntimeError('no')", "RuntimeError"),
        ("import absent_package_of_torch", "ModuleNotFoundError"),
    ],
)
def test_an_import_that_crashes_or_hangs_is_an_answer(tmp_path, monkeypatch, code, found):
    fake_torch(tmp_path, code, monkeypatch)
    answer = doctor_torch.ask(sys.executable, "torch", 1.5)
    assert answer["error"] == found and answer.get("installed", True)
    assert doctor_torch.torch_findings(answer, None, "Linux")[0].state == FAIL


def test_the_probe_tells_of_the_torch_that_is_here():
    answer = doctor_torch.ask(sys.executable, "torch", 120)
    try:
        from importlib.metadata import version

        wanted = version("torch")
    except Exception:
        assert answer == {"installed": False, "error": "ModuleNotFoundError"}
        return
    assert answer["version"].split("+")[0] == wanted.split("+")[0] and isinstance(answer["devices"], list)


def test_an_interpreter_that_is_none_is_told(tmp_path):
    assert doctor_torch.ask(str(tmp_path / "no-python"), "torch", 5) == {"error": "crashed", "code": 0}


def test_the_driver_is_read_from_nvidia_s_own_program(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert doctor_torch.driver_facts(5) is None
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\necho '| NVIDIA-SMI 550.54.14    Driver Version: 550.54.14    CUDA Version: 12.4     |'\n")
    program.chmod(0o755)
    if os.name == "posix":
        assert doctor_torch.driver_facts(5) == {"driver": "550.54.14", "cuda": "12.4"}


# Models


def test_usage_statistics_of_the_package_are_told(tmp_path):
    config = tmp_path / ".totalsegmentator" / "config.json"
    assert states(doctor_models.home_findings({}, tmp_path)) == [OK]
    config.parent.mkdir()
    for content, wanted in (({"send_usage_stats": True}, WARN), ({}, WARN), ({"send_usage_stats": False}, OK), ([], WARN)):
        config.write_text(json.dumps(content))
        assert states(doctor_models.home_findings({}, tmp_path)) == [wanted], content
    assert states(doctor_models.home_findings({"TOTALSEG_HOME_DIR": str(tmp_path / "other")}, tmp_path)) == [OK]


@pytest.mark.skipif(os.name != "posix", reason="rights of files as POSIX has them")
def test_a_license_number_that_others_can_read_is_told_without_it(tmp_path):
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"send_usage_stats": False, "license_number": "abcdefgh1234567890"}))
    config.chmod(0o644)
    found = only(doctor_models.home_findings({"TOTALSEG_HOME_DIR": str(tmp_path)}, tmp_path))
    assert found.state == WARN and "abcdefgh" not in found.sentence + found.repair
    config.chmod(0o600)
    assert states(doctor_models.home_findings({"TOTALSEG_HOME_DIR": str(tmp_path)}, tmp_path)) == [OK]


def test_what_each_model_can_do_here(tmp_path):
    from dataclasses import replace

    from ModelManagerLib.catalog import Needs, card

    thresholds = card("thresholds")
    machine = doctor_models.Machine(16.0, None, {"torch": "2.13.0"})

    def state_of(needs: Needs, machine=machine) -> str:
        return only(doctor_models.card_findings(replace(thresholds, requires=needs), tmp_path, machine)).state

    assert state_of(Needs()) == OK
    assert state_of(Needs(packages=("torch>=2.8",))) == OK
    assert state_of(Needs(packages=("torch>=3",))) == WARN
    assert state_of(Needs(packages=("absent-package",))) == WARN
    assert state_of(Needs(memory_gb=32.0)) == WARN and state_of(Needs(memory_gb=8.0)) == OK
    small = doctor_models.Machine(64.0, 4.0, {})
    told = only(doctor_models.card_findings(replace(thresholds, requires=Needs(gpu_memory_gb=6.0)), tmp_path, small)).sentence
    assert "on the processor; the GPU's memory is too small" in told


def test_models_in_the_store_are_told_with_their_state(tmp_path):
    from ModelManagerLib.catalog import built_in_cards

    weights = next(one for one in built_in_cards() if one.place and not one.runnable)
    subject = f"Model {weights.id}"
    assert not [one for one in doctor_models.model_findings(tmp_path, {}, []) if one.subject == subject]
    (tmp_path / weights.place).mkdir(parents=True)
    found = only([one for one in doctor_models.model_findings(tmp_path, {}, []) if one.subject == subject])
    assert found.state == WARN and "not whole" in found.sentence and weights.id in found.repair


# Support file

SECRETS = {
    "user": "Zacharias",
    "full name": "Zacharias Quintner",
    "home": f"{ROOT}home/Zacharias",
    "host": "radio-ws-17",
    "domain": "radio-ws-17.klinikum.example",
    "e-mail": "z.quintner@klinikum.example",
    "IPv4": "10.23.42.7",
    "IPv6": "fe80::1ff:fe23:4567:890a",
    "MAC": "00:1b:44:11:3a:b7",
    "license": "qwertzui0987654321",
    "patient path": "/data/pacs/Mustermann^Erika/1.2.276.0.7230010.3.1.4.8323329/ct.nii.gz",
    "windows path": f"{DRIVE}Users\\Zacharias\\Documents\\Mustermann Erika\\ct scan.nii.gz",
    "share": "\\\\fileserver\\befunde\\Mustermann\\ct.nii",
    "UID": "1.2.276.0.7230010.3.1.4.8323329",
    "DICOM name": "Mustermann^Erika",
    "birthday": "19610417",
    "proxy": "http://zq:hunter2@proxy.klinikum.example:3128",
    "token": "hf_AbCdEfGhIjKlMnOp",
}
PIECES = tuple(
    "Zacharias|Quintner|radio-ws-17|klinikum|10.23.42.7|fe80|890a|00:1b|qwertzui0987654321|Mustermann|Erika|pacs|befunde|fileserver"
    "|8323329|19610417|hunter2|3128|hf_AbC|Documents|ct scan".split("|")
)
ENVIRON = {
    "USER": "Zacharias",
    "HOSTNAME": "radio-ws-17",
    "TOTALSEG_LICENSE_NUMBER": "qwertzui0987654321",
    "HTTPS_PROXY": "http://zq:hunter2@proxy.klinikum.example:3128",
    "SSL_CERT_FILE": f"{ROOT}home/Zacharias/klinikum.pem",
    "MY_TOKEN": "s3cr3t-word",
}


def scrubber(**options) -> Scrubber:
    """Of a machine with planted names."""
    return Scrubber.of_this_machine(
        ENVIRON, Path(f"{ROOT}home/Zacharias"), host="radio-ws-17.klinikum.example", persons=["Zacharias Quintner"], **options
    )


@pytest.mark.parametrize(
    "frame", ["{}", "Could not open {}", "'{}' was refused", "({})", "before {}, after", "{}: not found", "x={} y", '"{}"']
)
@pytest.mark.parametrize("kind", SECRETS)
def test_no_planted_secret_survives(kind, frame):
    text = scrubber()(frame.format(SECRETS[kind]))
    assert not [piece for piece in PIECES if piece.casefold() in text.casefold()], text
    assert "<" in text


def test_all_secrets_in_one_text_are_found_and_values_of_secret_variables_too():
    text = scrubber()(" and ".join(SECRETS.values()) + " with s3cr3t-word")
    assert not [piece for piece in (*PIECES, "s3cr3t-word") if piece.casefold() in text.casefold()], text


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("torch wants numpy<2.4; 2.4.6 is installed.", None),
        ("slicer-core 5.12.4.0 wants vtk==9.6.0", None),
        ("Use a region or a fast model, CT/MR and/or PET.", None),
        ("Set ONCOSEGMENT_MODELS to a folder of your own.", None),
        ('pip install "timm<1.0.23"', None),
        (
            f"{ROOT}opt/python/lib/python3.11/site-packages/torch/nn/modules/conv.py failed",
            "<packages>/torch/nn/modules/conv.py failed",
        ),
        (
            "C:\\Slicer\\lib\\Python\\Lib\\site-packages\\torch\\lib\\c10.dll is missing",
            "<packages>/torch/lib/c10.dll is missing",
        ),
    ],
)
def test_what_helps_stays(text, kept):
    assert scrubber(keep={"5.12.4.0"})(text) == (kept or text)


def test_a_very_long_text_is_cut_before_a_word_that_could_be_half_a_name():
    text = scrubber()("x " * 1990 + "some Zacharias Quintner " * 1000)
    assert len(text) <= 4004 and text.endswith(" ...") and "Zach" not in text and "Quint" not in text


def test_a_package_in_a_patient_s_folder_keeps_its_own_part_only():
    text = scrubber()(f"{ROOT}home/Zacharias/Mustermann^Erika/lib/site-packages/torch/x.py")
    assert text == "<packages>/torch/x.py"


def test_the_facts_of_the_file_hold_no_secret_wherever_it_was_planted(tmp_path):
    distribution(tmp_path, "numpy", "2.4.6")
    distribution(tmp_path, "zacharias-tools", "10.23.42.7")
    findings = [Finding(f"GPU of {SECRETS['host']}", WARN, f"{text} failed.", f"Look at {text}") for text in SECRETS.values()]
    environ = {**ENVIRON, "PYTHONPATH": SECRETS["windows path"]}
    facts = support_facts(findings, environ, [str(tmp_path)], Path(f"{ROOT}home/Zacharias"), persons=["Zacharias Quintner"])
    text = json.dumps(facts, ensure_ascii=False)
    found = [piece for piece in PIECES if piece.casefold() in text.casefold() and piece != "10.23.42.7"]
    assert not found, found
    assert facts["packages"]["numpy"] == "2.4.6" and facts["variables"]["HTTPS_PROXY"] == "set"
    assert facts["variables"]["NO_PROXY"] == "not set"


@pytest.mark.parametrize("name", ["support.json", "support.txt"])
def test_the_file_is_written_as_its_name_says_and_never_over_another(tmp_path, name):
    facts = support_facts([Finding("Disk", FAIL, "Full.", "Free space.")], {}, [], tmp_path / "home")
    write_support_file(tmp_path / name, facts)
    text = (tmp_path / name).read_text(encoding="utf-8")
    assert json.loads(text) == facts if name.endswith(".json") else "fail    Disk: Full.\n          Free space." in text
    with pytest.raises(OutputError, match="is in the output folder already"):
        write_support_file(tmp_path / name, facts)
    write_support_file(tmp_path / name, facts, overwrite=True)


def test_this_machine_s_own_findings_keep_their_versions_and_lose_its_names(tmp_path):
    chosen = situation(tmp_path, environ=dict(os.environ))
    findings = examine(chosen)
    facts = support_facts(findings, chosen.environ, chosen.path, Path.home())
    from importlib.metadata import version

    assert facts["packages"]["slicer-core"] == version("slicer-core")
    text = json.dumps(facts)
    assert str(tmp_path) not in text and str(Path.home()) + os.sep not in text
    assert doctor.TIMEOUT_S >= 60
