from __future__ import annotations


class UntoldError(Exception):
    """The notice could not be told. The message is shown to the person who wants it."""

    def __init__(self, why: str, *, gone: bool = False) -> None:
        super().__init__(why)
        self.gone = gone
        """The address says that it will never answer again."""
