"""What the Dockerfiles say, without Docker."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from inference.service.settings import Settings
from stereospot.environment import Environment
from tests.images.dockerfiles import (
    FILES,
    INFERENCE,
    ROOT,
    WEB,
    copied_from_context,
    last_lineage,
    last_of,
    stages_of,
)

READERS = {
    "HF_HOME": ("huggingface_hub", "constants.py"),
    "TORCHINDUCTOR_CACHE_DIR": ("torch", "_inductor/runtime/cache_dir_utils.py"),
    "TRITON_CACHE_DIR": ("triton", "knobs.py"),
}
"""Which file of which package reads a variable."""
TOOLS = {
    *("PATH", "PYTHONDONTWRITEBYTECODE", "PYTHONPATH", "PYTHONUNBUFFERED"),  # Python
    *("UV_PYTHON_INSTALL_DIR", "VIRTUAL_ENV"),  # uv
}
each_file = pytest.mark.parametrize("path", FILES, ids=["site", "inference"])


@each_file
def test_the_linter_finds_nothing(path):
    linter = str(Path(sys.executable).with_name("hadolint"))
    done = subprocess.run([linter, path], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout) == (0, "")


@each_file
def test_what_the_linter_is_told_to_ignore_has_a_reason(path):
    pragmas = re.findall(r"^# hadolint ignore=(.*)$", path.read_text(), re.MULTILINE)

    assert all(re.fullmatch(r"[DL\d,]{6,} # [^#]{5,}", pragma) for pragma in pragmas)


@each_file
def test_every_image_that_is_built_upon_is_pinned(path):
    stages = stages_of(path)
    outside = {stage.base for stage in stages} - {stage.name for stage in stages}

    assert all(re.search(r":\d+\.\d+\.\d+(-[a-z0-9.-]+)?$", base) for base in outside)


@each_file
def test_what_is_copied_is_in_the_context(path, context):
    stages = stages_of(path)
    origins = {origin for stage in stages for origin, _, _ in stage.copies()}
    missing = [
        name for name in copied_from_context(path) if not (context / name).exists()
    ]

    assert origins - {""} <= {stage.name for stage in stages}
    assert missing == []


def test_nothing_else_is_in_the_context(context):
    strange = [
        path.relative_to(context).as_posix()
        for path in context.rglob("*")
        if path.suffix in (".md", ".pyc") or path.name in ("Dockerfile", ".env")
    ]

    assert {path.name for path in context.iterdir()} == set().union(
        *map(copied_from_context, FILES)
    )
    assert strange == []


@each_file
def test_the_image_does_not_run_as_root(path):
    assert last_of(path, "USER") == "10001"
    assert "useradd --uid 10001 " in path.read_text()


def test_only_the_image_for_sagemaker_runs_as_root():
    roots = [
        s.name for path in FILES for s in stages_of(path) if "root" in s.of("USER")
    ]

    assert roots == ["sagemaker"]


@each_file
def test_every_variable_is_read_by_somebody_and_none_is_a_secret(path):
    ours = {
        name.upper() for name in {**Environment.model_fields, **Settings.model_fields}
    }
    named = {name for stage in stages_of(path) for name in stage.variables()}

    assert named - {"EXTRAS"} <= ours | TOOLS | set(READERS)
    assert not [name for name in named if re.search("TOKEN|SECRET|PASSWORD", name)]


@pytest.mark.parametrize("name", READERS)
def test_a_package_reads_the_variable(name):
    package, file = READERS[name]
    spec = importlib.util.find_spec(package)
    if spec is None:
        pytest.skip(f"{package} is not for this machine")

    assert name in (Path(spec.origin).parent / file).read_text()


def test_extras_are_those_of_the_project():
    said = re.findall(r"EXTRAS=(\w+)", WEB.read_text())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

    assert said
    assert set(said) <= set(project["optional-dependencies"])


def test_both_images_have_the_same_python():
    wanted = re.search(r"--python (\S+)", INFERENCE.read_text())

    assert stages_of(WEB)[0].base == f"python:{wanted[1]}-slim-bookworm"


def test_the_volume_of_the_site_hides_nothing_that_the_image_brings():
    data = last_lineage(WEB)[-1].variables()["STEREOSPOT_DATA_DIR"]

    assert last_of(WEB, "VOLUME") == f"{data}/tmp"
    assert last_of(WEB, "WORKDIR") == data


def test_what_the_server_keeps_is_in_its_volume():
    variables = last_lineage(INFERENCE)[-2].variables()
    volume = Path(last_of(INFERENCE, "VOLUME"))

    assert all(volume in Path(variables[name]).parents for name in READERS)
