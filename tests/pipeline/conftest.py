from __future__ import annotations

from collections.abc import Iterator

import pytest

from workers import drain


@pytest.fixture
def told_to_stop() -> Iterator[None]:
    """The worker has just had its SIGTERM."""
    drain.begin()
    yield
    drain._TIME.pack_into(drain._begun, 0, 0.0)
