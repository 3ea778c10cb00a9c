"""The API: what the pages do, for programs. docs/api.md is its walk-through.

`/api/v1/` in every path: programs outlive our releases, and what a path means has to stay
what it meant. Fields and paths are added to v1; anything else would be a v2 beside it.
"""

from __future__ import annotations

from apps.jobs.api.site import api

__all__ = ["api"]
