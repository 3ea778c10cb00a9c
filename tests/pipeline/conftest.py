from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.receiver import Receiver, receiving
from workers import drain


@pytest.fixture
def told_to_stop() -> Iterator[None]:
    """The worker has just had its SIGTERM."""
    drain.begin()
    yield
    drain._TIME.pack_into(drain._begun, 0, 0.0)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


@pytest.fixture
def at_home(settings) -> None:
    """Webhooks may go to this machine."""
    settings.WEBHOOK_PRIVATE_ADDRESSES = True
