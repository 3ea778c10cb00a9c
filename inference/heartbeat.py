"""How whoever started a conversion gets a word in while it works."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar


def _nobody() -> None:
    """Nobody asked to be heard."""


_check: ContextVar[Callable[[], None]] = ContextVar("check", default=_nobody)


@contextmanager
def heard(check: Callable[[], None]) -> Iterator[None]:
    """`check` is called with every beat of this context; what it raises ends the work."""
    before = _check.set(check)
    try:
        yield
    finally:
        _check.reset(before)


def beat() -> None:
    """Called by whatever takes long, between any two of its steps."""
    _check.get()()


def listener() -> Callable[[], None]:
    """Whom a beat here would reach, for threads that have no context of their own."""
    return _check.get()
