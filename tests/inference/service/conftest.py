from __future__ import annotations

from pathlib import Path
from uuid import uuid4

import pytest

from tests.inference.films import film


@pytest.fixture(scope="session")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What servers of these tests may read and write."""
    return tmp_path_factory.mktemp("films")


@pytest.fixture(scope="session")
def short(root: Path) -> Path:
    return film(root / "short.mp4", tuple(range(0, 12 * 3000, 3000)), bf="0")


@pytest.fixture(scope="session")
def middling(root: Path) -> Path:
    """Takes long enough for something else to happen meanwhile."""
    times = tuple(range(0, 400 * 3000, 3000))
    return film(root / "middling.mp4", times, preset="ultrafast", bf="0")


@pytest.fixture(scope="session")
def long(root: Path) -> Path:
    """Takes longer than any test waits for it."""
    times = tuple(range(0, 2000 * 3000, 3000))
    return film(root / "long.mp4", times, preset="ultrafast", bf="0")


@pytest.fixture
def target(root: Path) -> Path:
    """Where nothing is yet."""
    return root / uuid4().hex / "stereo.mp4"
