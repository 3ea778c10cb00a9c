"""Rules about the whole tree that no type checker knows."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from stereospot.environment import Environment

ROOT = Path(__file__).parent.parent
SOURCES = sorted(
    path
    for folder in (
        "contract",
        "stereospot",
        "apps",
        "workers",
        "inference",
        "benchmarks",
    )
    for path in (ROOT / folder).rglob("*.py")
    if "migrations" not in path.parts
)
STATUS_WRITE = re.compile(r"\.status = |update\([^)]*\bstatus=", re.DOTALL)


def test_only_the_ledger_changes_a_status():
    guilty = [
        path.relative_to(ROOT).as_posix()
        for path in SOURCES
        if "ledger" not in path.parts and STATUS_WRITE.search(path.read_text())
    ]

    assert guilty == []


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_modules_and_functions_stay_small(path):
    text = path.read_text()
    long = [
        node.name
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (node.end_lineno or 0) - node.lineno + 1 > 40
    ]

    assert text.count("\n") <= 300
    assert long == []


def test_every_variable_of_the_environment_is_in_the_operators_manual():
    manual = (ROOT / "docs" / "operations.md").read_text()
    missing = [
        name for name in Environment.model_fields if f"`{name.upper()}`" not in manual
    ]

    assert missing == []


def test_every_manage_command_is_in_the_operators_manual():
    manual = (ROOT / "docs" / "operations.md").read_text()
    commands = (ROOT / "apps/jobs/management/commands").glob("[a-z]*.py")
    missing = [c.stem for c in commands if f"manage.py {c.stem}" not in manual]

    assert missing == []


def test_the_readme_is_short():
    assert (ROOT / "README.md").read_text().count("\n") <= 150
