"""Patience that the product's modules have as constants, shortened like the settings."""

from __future__ import annotations

import sys
from datetime import timedelta

_SECONDS = {"DELIVERY": 3, "PATIENCE": 10, "ARRIVAL": 10, "TIDYING": 20}


def hurry() -> None:
    """In every process that works on the ledger, after Django has loaded its apps."""
    for name, module in list(sys.modules.items()):
        if name.startswith("apps."):
            for constant, seconds in _SECONDS.items():
                if isinstance(getattr(module, constant, None), timedelta):
                    setattr(module, constant, timedelta(seconds=seconds))
