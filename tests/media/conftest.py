"""The odd sources, each made once in a session."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from tests.media.sources import RECIPES


@pytest.fixture(scope="session")
def source(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Gives the file of a source by its name."""

    @cache
    def make(name: str) -> Path:
        return RECIPES[name](tmp_path_factory.mktemp("source"))

    return make
