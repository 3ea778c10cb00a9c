"""What films will look like: a picture of each mode, and one frame of the film itself."""

from __future__ import annotations

from django import template
from django.templatetags.static import static

from apps.pipeline import previews

register = template.Library()


@register.inclusion_tag("jobs/_preview.html")
def preview_panel() -> dict[str, object]:
    return {"is_possible": previews.are_possible()}


@register.simple_tag
def mode_picture(mode: str) -> str:
    """Drawn by `python -m inference.samples`."""
    return static(f"jobs/modes/{mode}.webp")
