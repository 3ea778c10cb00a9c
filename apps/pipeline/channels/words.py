"""What people are told, in a line."""

from __future__ import annotations

from contract.modes import FLAT
from contract.notices import Announcement, NoticeKind

_ENDINGS = {
    NoticeKind.COMPLETED: "is ready in 3D",
    NoticeKind.FAILED: "has failed",
    NoticeKind.CANCELLED: "was cancelled",
    NoticeKind.DELETED: "was deleted",
}


def title(announcement: Announcement) -> str:
    """The film's, in one line."""
    return " ".join(announcement.data.title.split()) or "Untitled"


def ending(announcement: Announcement) -> str:
    if announcement.type is NoticeKind.COMPLETED and announcement.data.mode == FLAT:
        return "is ready"
    return _ENDINGS[announcement.type]
