"""Numbers and states in words for people."""

from __future__ import annotations

from datetime import UTC, datetime

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString

from apps.jobs.estimates import Range

register = template.Library()

_ICONS = {
    "completed": "✓",
    "done": "✓",
    "failed": "✕",
    "cancelled": "⊘",
    "stopped": "✕",
    "waiting": "…",
}
_WAITING = ("created", "pending", "todo")
_EVENTS = {
    "started": "Uploaded",
    "chunked": "Cut into segments",
    "converted": "All segments converted",
    "completed": "Completed",
    "attempt-failed": "An attempt failed",
    "failed": "Failed",
    "cancelled": "Cancelled",
    "retried": "Retried",
    "recut": "Cut again from the start",
    "dead-letter": "The queue gave up a message",
    "fetching": "Fetching the film",
    "ingested": "The film is there",
    "generating": "Generating the clip",
    "generated": "The clip is there",
    "delivered": "Copied to a file of this machine",
}


@register.filter
def icon(status: str) -> str:
    """A sign for the state, beside its word or colour and never alone."""
    return _ICONS.get(status, "○" if status in _WAITING else "▶")


@register.filter
def event_words(kind: str) -> str:
    return _EVENTS.get(kind, kind)


@register.filter
def duration(seconds: float | None) -> str:
    """`9 s`, `4 min 12 s`, `2 h 5 min`."""
    if seconds is None:
        return "–"
    if 0 < seconds < 1:
        return "< 1 s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


@register.filter
def roughly(seconds: float) -> str:
    """`less than a minute`, `about 12 min`, `about 3 h`."""
    if seconds < 60:
        return "less than a minute"
    minutes = round(seconds / 60)
    return f"about {minutes} min" if minutes < 100 else f"about {round(minutes / 60)} h"


@register.filter
def between(span: Range) -> str:
    """`about 12 min`, `10 to 14 min`, `50 min to 2 h`."""
    low, high = roughly(span.low), roughly(span.high)
    if low == high:
        return high
    low, high = low.removeprefix("about "), high.removeprefix("about ")
    if span.low < 60:
        return f"less than {high}"
    unit = high[high.index(" ") :]
    return f"{low.removesuffix(unit)} to {high}"


@register.filter
def size(bytes_: float) -> str:
    """Decimal, as disks and browsers count: `812 MB`, `2.3 GB`."""
    for unit in ("bytes", "kB", "MB"):
        if bytes_ < 999.5:
            return f"{bytes_:.0f} {unit}"
        bytes_ /= 1000
    return f"{bytes_:.1f} GB".replace(".0 ", " ")


@register.simple_tag
def moment(at: datetime | None, *, seconds: bool = False) -> SafeString | str:
    """A point in time, in UTC and said so."""
    if at is None:
        return "–"
    at = at.astimezone(UTC)
    text = at.strftime("%-d %b %Y %H:%M:%S" if seconds else "%-d %b %Y %H:%M")
    return format_html('<time datetime="{}">{} UTC</time>', at.isoformat(), text)
