"""GitHub's workflows: pinned, without keys, and careful with what cannot be undone."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.images.dockerfiles import ROOT

FILES = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
TEXTS = {path.stem: path.read_text() for path in FILES}
JOBS = {
    f"{name}.{job}": facts
    for name, text in TEXTS.items()
    for job, facts in yaml.safe_load(text)["jobs"].items()
}


def test_they_are_what_github_allows():
    checker = str(Path(sys.executable).with_name("check-jsonschema"))
    done = subprocess.run(
        [checker, "--builtin-schema", "vendor.github-workflows", *map(str, FILES)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_action_is_pinned_to_a_commit_and_says_which_version_that_is():
    used = [
        line.strip()
        for text in TEXTS.values()
        for line in text.splitlines()
        if "uses:" in line
    ]

    assert used
    for line in used:
        assert re.search(r"uses: [\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$", line), line


def test_nobody_has_a_key_and_only_who_needs_aws_has_an_identity():
    assert not any("secrets." in text for text in TEXTS.values())
    for name, job in JOBS.items():
        wants = any("aws-actions" in step.get("uses", "") for step in job["steps"])
        given = job.get("permissions", {}).get("id-token") == "write"
        assert wants == given, name


@pytest.mark.parametrize("job", ["deploy.apply", "destroy.destroy"])
def test_what_changes_aws_waits_for_its_environment_and_for_its_turn(job):
    assert JOBS[job]["environment"]
    assert JOBS[job]["concurrency"] == "production"


def test_a_plan_that_fails_is_no_success():
    assert not any("continue-on-error" in text for text in TEXTS.values())


def test_only_the_typed_word_takes_everything_down():
    assert JOBS["destroy.destroy"]["if"] == "inputs.confirm_destroy == 'DESTROY'"
    assert list(yaml.safe_load(TEXTS["destroy"])[True]) == ["workflow_dispatch"]


def test_ci_runs_what_a_person_runs():
    (test,) = (job for name, job in JOBS.items() if name == "test.test")

    assert [step["run"] for step in test["steps"] if "run" in step] == [
        "make check",
        "make test",
    ]
