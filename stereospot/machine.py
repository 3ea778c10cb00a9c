"""What this machine has, as far as that can be known without loading anything."""

from __future__ import annotations

from pathlib import Path


def has_card() -> bool:
    """Whether NVIDIA's driver shows a card."""
    return any(Path("/dev").glob("nvidia[0-9]*"))
