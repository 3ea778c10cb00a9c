"""Everything that a process imports is installed in its image."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

from tests.images.dockerfiles import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
OURS = {"contract", "stereospot", "apps", "workers", "inference"}
OF_CUDA_TORCH = {"triton"}
"""What torch's CUDA build brings, and the CPU build on this machine may not."""


def test_the_server_imports_only_what_its_image_has(server):
    modules = imported([server / "contract", server / "inference"]) - OF_CUDA_TORCH

    assert missing(modules, PROJECT["optional-dependencies"]["inference"]) == []


def test_the_site_and_the_workers_import_only_what_their_image_has(web):
    folders = [web / name for name in ("contract", "stereospot", "apps", "workers")]

    assert missing(imported(folders), PROJECT["dependencies"]) == []


def missing(modules: set[str], requirements: list[str]) -> list[str]:
    installed = installed_by(requirements)
    owners = metadata.packages_distributions()
    return sorted(
        module
        for module in modules
        if not {canonical(owner) for owner in owners.get(module, [])} & installed
    )


def imported(folders: list[Path]) -> set[str]:
    """Top-level modules that are imported at run time, from outside the project."""
    found: set[str] = set()
    for path in (path for folder in folders for path in folder.rglob("*.py")):
        for node in run_time(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                found.add((node.module or "").partition(".")[0])
    return found - OURS - sys.stdlib_module_names


def run_time(node: ast.AST) -> Iterator[ast.AST]:
    """Every node, but those for type checkers."""
    yield node
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            continue
        yield from run_time(child)


def installed_by(requirements: list[str]) -> set[str]:
    """Canonical names of the distributions that pip installs for them."""
    found: set[tuple[str, str]] = set()
    waiting = [Requirement(text) for text in requirements]
    while waiting:
        wanted = waiting.pop()
        name, extras = canonical(wanted.name), {"", *wanted.extras}
        new = {(name, extra) for extra in extras} - found
        if not new or not is_here(name):
            continue
        found |= new
        for need in map(Requirement, metadata.requires(name) or []):
            marker = need.marker
            if marker is None or any(marker.evaluate({"extra": e}) for e in extras):
                waiting.append(need)
    return {name for name, _ in found}


def is_here(name: str) -> bool:
    try:
        metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return False
    return True


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
