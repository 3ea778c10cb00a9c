"""What films will look like: a picture of each mode, and one frame of the film itself."""

from __future__ import annotations

from django import template
from django.conf import settings
from django.templatetags.static import static

from apps.jobs import estimates
from apps.pipeline import previews
from contract.frames import Picture
from contract.modes import Engine
from stereospot.machine import has_card

HD = Picture(eye_width=1920, eye_height=1080)
MINUTE = 24 * 60
"""Frames."""

register = template.Library()


@register.inclusion_tag("jobs/_preview.html")
def preview_panel() -> dict[str, object]:
    return {"is_possible": previews.are_possible()}


@register.simple_tag
def mode_picture(mode: str) -> str:
    """Drawn by `python -m inference.samples`."""
    return static(f"jobs/modes/{mode}.webp")


@register.simple_tag
def engine_facts() -> dict[str, dict[str, object]]:
    """By engine: how long it takes, and whether it can run here at all."""
    lacks_card = settings.CONVERTS_HERE and not has_card()
    return {
        engine.value: {
            "measured": estimates.before(engine, HD, MINUTE, workers=1),
            "ours": engine.seconds_per_megapixel * estimates.megapixels(HD) * MINUTE,
            "lacks_card": lacks_card and engine is Engine.STEREOCRAFTER,
        }
        for engine in Engine
    }


@register.filter
def of(facts: dict[str, dict[str, object]], engine: str) -> dict[str, object]:
    return facts[engine]
