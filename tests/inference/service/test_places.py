"""Where the server reads and writes, and where it does not."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from pydantic import ValidationError

from contract.errors import ErrorCode, StereoSpotError
from contract.invocation import Completed, Invocation
from contract.modes import Engine
from inference.service.objects import Made, Objects
from inference.service.places import File, places_of
from inference.service.settings import Settings

JOB = "0c1b0f4e-8a53-4b3e-9a5b-5f6f0c0b7a11"
OTHER = "1c1b0f4e-8a53-4b3e-9a5b-5f6f0c0b7a11"
SEGMENT = f"s3://sources/segments/{JOB}/00003_00007_sbs.mp4"
STEREO = f"s3://results/jobs/{JOB}/segments/3.mp4"


@pytest.fixture
def allowed(tmp_path):
    (tmp_path / "root").mkdir()
    return Settings(
        source_bucket="sources",
        result_bucket="results",
        inference_file_root=tmp_path / "root",
    )


def asked(source: str, target: str) -> Invocation:
    return Invocation(input_uri=source, output_uri=target, mode="sbs")


def refusal(allowed: Settings, source: str, target: str) -> ErrorCode:
    with pytest.raises(StereoSpotError) as raised:
        places_of(asked(source, target), allowed)
    return raised.value.code


def test_a_segment_and_its_own_result_are_allowed(allowed):
    places = places_of(asked(SEGMENT, STEREO), allowed)

    assert (places.source.bucket, places.target.bucket) == ("sources", "results")


@pytest.mark.parametrize(
    ("source", "target"),
    [
        (SEGMENT.replace("sources", "payroll"), STEREO),
        (SEGMENT, STEREO.replace("results", "payroll")),
        (SEGMENT, STEREO.replace("results", "sources")),
        (STEREO, STEREO),
        (f"s3://sources/input/{JOB}/source.mp4", STEREO),
        (SEGMENT, f"s3://results/jobs/{JOB}/final.mp4"),
        (SEGMENT, STEREO.replace(JOB, OTHER)),
        (SEGMENT, STEREO.replace("/3.", "/4.")),
        (SEGMENT.replace("segments/", "segments/../segments/"), STEREO),
        (SEGMENT.replace("segments/", "/segments/"), STEREO),
    ],
)
def test_what_is_no_segment_of_ours_is_refused(allowed, source, target):
    assert refusal(allowed, source, target) is ErrorCode.FORBIDDEN_URI


@pytest.mark.parametrize(
    "uri",
    [
        "https://films.example/film.mp4",
        "file://elsewhere/film.mp4",
        f"{SEGMENT}?versionId=1",
        f"{SEGMENT}#1",
        f"{SEGMENT}\n",
        "s3://[/film.mp4",
        "",
    ],
)
def test_what_is_no_such_uri_is_refused(allowed, uri):
    assert refusal(allowed, uri, STEREO) is ErrorCode.BAD_REQUEST


@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd",
        "{root}/../secret.mp4",
        "{root}/%2e%2e/secret.mp4",
        "{root}/link/secret.mp4",
        "{root}/link.mp4",
        "{root}/../leads-in.mp4",
        "{root}/..",
        "{root}/loop/film.mp4",
        "{root}/a%00b.mp4",
        "{root}-beside/film.mp4",
        "{root}",
    ],
)
def test_no_path_leads_out_of_the_folder(allowed, tmp_path, path):
    root = tmp_path / "root"
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret.mp4").touch()
    (root / "link").symlink_to(tmp_path / "outside")
    (root / "link.mp4").symlink_to(tmp_path / "outside" / "secret.mp4")
    (tmp_path / "leads-in.mp4").symlink_to(root / "film.mp4")
    (root / "loop").symlink_to(root / "loop")
    uri = "file://" + path.format(root=root)
    inside = (root / "film.mp4").as_uri()

    assert refusal(allowed, uri, inside) is ErrorCode.FORBIDDEN_URI
    assert refusal(allowed, inside, uri) is ErrorCode.FORBIDDEN_URI


def test_names_inside_the_folder_are_allowed_however_they_are_written(
    allowed, tmp_path
):
    root = tmp_path / "root"
    (root / "new").mkdir()
    (root / "link").symlink_to(root / "new")
    uri = f"file://localhost{root}/link/../new/a%20film.mp4"

    places = places_of(asked(uri, (root / "x" / "y.mp4").as_uri()), allowed)

    assert places.source == File(root.resolve() / "new" / "a film.mp4")
    assert places.target == File(root.resolve() / "x" / "y.mp4")


def test_without_a_folder_no_file_is_allowed(tmp_path):
    allowed = Settings(source_bucket="sources", result_bucket="results")
    uri = (tmp_path / "film.mp4").as_uri()

    assert refusal(allowed, uri, uri) is ErrorCode.FORBIDDEN_URI


def test_a_full_disk_leaves_nothing_of_a_result(tmp_path, monkeypatch):
    def full(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    source, target = tmp_path / "made.mp4", tmp_path / "new" / "3.mp4"
    source.write_bytes(b"film")
    done = Completed(frames=1, seconds=1, engine=Engine.PREVIEW, version="1")
    monkeypatch.setattr(os, "fsync", full)

    with pytest.raises(StereoSpotError) as raised:
        Objects("us-east-1").publish(source, File(target), Made("1", done))

    assert raised.value.code is ErrorCode.DISK_FULL
    assert list(target.parent.iterdir()) == []


@pytest.mark.parametrize(
    ("given", "host"),
    [
        ({}, "127.0.0.1"),
        ({"inference_token": "sesame"}, "0.0.0.0"),
        ({"inference_token": ""}, "127.0.0.1"),
        ({"inference_insecure": "1"}, "0.0.0.0"),
    ],
)
def test_others_can_call_only_where_somebody_decides_who_may(
    monkeypatch, tmp_path, given, host
):
    for name, value in given.items():
        monkeypatch.setenv(name.upper(), value)

    assert Settings(inference_file_root=tmp_path).host == host


def test_sagemaker_says_which_port(monkeypatch, tmp_path):
    monkeypatch.setenv("INFERENCE_FILE_ROOT", str(tmp_path))
    monkeypatch.setenv("PORT", "1234")
    monkeypatch.setenv("SAGEMAKER_BIND_TO_PORT", "4321")

    assert Settings().port == 4321


@pytest.mark.parametrize(
    "given",
    [{}, {"source_bucket": "sources"}, {"inference_engines": "slow"}],
)
def test_settings_that_make_no_sense_are_refused(given):
    with pytest.raises(ValidationError):
        Settings(**given)


def test_every_variable_of_the_server_is_in_the_operators_manual():
    manual = Path(__file__).parents[3].joinpath("docs/operations.md").read_text()
    names = {*Settings.model_fields, "sagemaker_bind_to_port"}
    missing = [name for name in names if f"`{name.upper()}`" not in manual]

    assert missing == []
