"""`oncosegment doctor` as a user runs it."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

import pytest

from OncoAppLib import doctor
from OncoLib.errors import OutputError


def run(*arguments) -> int:
    """The verb alone, in this process."""
    parser = argparse.ArgumentParser()
    doctor.add(parser.add_subparsers())
    options = parser.parse_args(["doctor", *map(str, arguments)])
    return options.run(options)


@pytest.fixture(autouse=True)
def own_machine(tmp_path, monkeypatch):
    """A store and home of the test's own."""
    monkeypatch.setenv("ONCOSEGMENT_MODELS", str(tmp_path / "models"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("USERPROFILE", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "HTTPS_PROXY", "https_proxy"):
        monkeypatch.delenv(name, raising=False)


def test_problems_come_first_with_their_repair_and_decide_the_exit_code(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "gone.pem"))
    assert run() == 4
    out = capsys.readouterr().out.splitlines()
    assert "fail    Certificates: SSL_CERT_FILE is set, but the file that it names is not there." in out
    assert out[out.index("fail    Certificates: SSL_CERT_FILE is set, but the file that it names is not there.") + 1].startswith(
        "          Ask"
    )
    assert str(tmp_path) not in "\n".join(out)
    levels = [line.split()[0] for line in out if not line.startswith(" ")][:-1]
    assert levels == sorted(levels, key=["fail", "warn", "unknown", "ok"].index) and "ok" not in levels


def test_json_and_a_support_file_without_names(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("HTTPS_PROXY", "http://erika:hunter2@proxy.klinikum.example:3128")
    target = tmp_path / "support.json"
    status = run("--json", "--output", target)
    printed = json.loads(capsys.readouterr().out)
    assert status == (4 if printed["state"] == "fail" else 0)
    assert {"subject", "state", "sentence", "repair"} == set(printed["findings"][0]) and printed["files"] == [str(target)]
    text = target.read_text(encoding="utf-8")
    facts = json.loads(text)
    assert facts["variables"]["HTTPS_PROXY"] == "set" and len(facts["findings"]) == len(printed["findings"])
    for word in ("erika", "hunter2", "klinikum", str(tmp_path), str(Path.home())):
        assert word not in text
    assert not any(name.startswith(".oncosegment") for name in os.listdir(tmp_path))


def test_a_support_file_that_is_there_is_kept_and_told_before_the_work(tmp_path):
    target = tmp_path / "support.txt"
    target.write_text("mine")
    with pytest.raises(OutputError, match="support.txt is in the output folder already"):
        run("--output", target)
    assert target.read_text() == "mine"
    run("--output", target, "--overwrite")
    assert target.read_text(encoding="utf-8").startswith("OncoSegment ")
