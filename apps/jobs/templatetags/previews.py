"""What films will look like: a picture of each mode, and one frame of the film itself."""

from __future__ import annotations

from django import template
from django.templatetags.static import static

from apps.jobs import estimates
from apps.pipeline import previews
from contract.modes import Engine

register = template.Library()


@register.inclusion_tag("jobs/_preview.html")
def preview_panel() -> dict[str, object]:
    return {"is_possible": previews.are_possible()}


@register.simple_tag
def mode_picture(mode: str) -> str:
    """Drawn by `python -m inference.samples`."""
    return static(f"jobs/modes/{mode}.webp")


@register.simple_tag
def engine_facts() -> dict[str, estimates.Expected]:
    """By engine: how long it takes, and whether it can run here at all."""
    return {engine.value: estimates.expected(engine) for engine in Engine}


@register.filter
def of(facts: dict[str, estimates.Expected], engine: str) -> estimates.Expected:
    return facts[engine]
