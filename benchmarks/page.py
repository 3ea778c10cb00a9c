"""A page of the documentation whose tables are made by a script."""

from __future__ import annotations


def inserted(page: str, text: str, *, begin: str, end: str) -> str:
    """The page with the text between its markers. ValueError if they are not there."""
    before, _, rest = page.partition(begin)
    _, found, after = rest.partition(end)
    if not found:
        raise ValueError(f"no {begin} … {end} in the page")
    return f"{before}{begin}\n\n{text}\n\n{end}{after}"
