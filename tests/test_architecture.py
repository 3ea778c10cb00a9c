"""Rules about the whole tree that no type checker knows."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from contract.errors import ErrorCode
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
PAGES = sorted(
    [
        *ROOT.glob("*.md"),
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / folder / "README.md" for folder in ("workers", "benchmarks")),
        *(ROOT / "deploy").rglob("README.md"),
    ]
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


def test_every_code_of_an_error_is_among_the_troubles():
    troubles = (ROOT / "docs" / "operations" / "troubles.md").read_text()
    missing = [code for code in ErrorCode if f"`{code}`" not in troubles]

    assert missing == []


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_links_between_pages_lead_somewhere(page):
    lost = []
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        path, _, anchor = link.partition("#")
        there = page.parent / path if path else page
        if ":" in path:
            continue  # another site
        if not there.exists() or (anchor and anchor not in anchors(there)):
            lost.append(link)

    assert lost == []


def anchors(page: Path) -> set[str]:
    """Of its headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    words = [re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings]
    return {word.replace(" ", "-") for word in words}


def test_the_readme_is_short():
    assert (ROOT / "README.md").read_text().count("\n") <= 150
