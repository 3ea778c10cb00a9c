"""What may be asked for here, as data."""

from __future__ import annotations

from django.conf import settings
from ninja import Router

from apps.jobs.api.access import TokenRequest
from apps.jobs.api.problems import answers
from apps.jobs.api.shapes import EngineOffer, Limits, ModeOffer, Offers
from apps.jobs.forms import ENGINES, MODES
from apps.jobs.models import ENGINE_CHOICES, MODE_CHOICES
from contract.modes import Engine, StereoMode

router = Router(tags=["Offers"])


@router.get("/offers", response=answers(200, Offers))
def show_offers(request: TokenRequest) -> Offers:
    """Modes, engines and limits."""
    return Offers(
        modes=[
            ModeOffer(id=StereoMode(id_), name=name, about=MODES[StereoMode(id_)])
            for id_, name in MODE_CHOICES
        ],
        engines=[
            EngineOffer(
                id=Engine(id_),
                name=name,
                about=ENGINES[Engine(id_)],
                licence=Engine(id_).licence,
            )
            for id_, name in ENGINE_CHOICES
        ],
        limits=Limits(
            source_bytes=settings.MAX_SOURCE_BYTES,
            source_seconds=settings.MAX_SOURCE_SECONDS,
        ),
    )
