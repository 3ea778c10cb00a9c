"""Messages about what a page has changed, sent once that is committed."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from django.db import transaction

About = TypeVar("About")


def after_commit(send: Callable[[About], None], about: About) -> None:
    """When the queue does not answer nobody hears of it: the sweep sends it later."""
    # Not a partial: Django logs the name of the function, and a partial has none.
    transaction.on_commit(lambda: send(about), robust=True)
