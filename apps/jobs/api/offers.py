"""What may be asked for here, as data."""

from __future__ import annotations

from django.conf import settings
from ninja import Router

from apps.jobs import ledger
from apps.jobs.api.access import TokenRequest
from apps.jobs.api.problems import answers
from apps.jobs.api.shapes import EngineOffer, Limits, ModeOffer, Offers, OwnQuota
from apps.jobs.forms import ENGINES, MODES
from apps.jobs.models import ENGINE_CHOICES, MODE_CHOICES
from contract.modes import Engine, StereoMode

router = Router(tags=["Offers"])


@router.get("/offers", response=answers(200, Offers))
def show_offers(request: TokenRequest) -> Offers:
    """Modes, engines, limits, and what you have left."""
    quota = ledger.quota_of(request.auth)
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
            link_hosts=settings.INGEST_HOSTS,
            link_buckets=settings.INGEST_BUCKETS,
        ),
        quota=OwnQuota(
            films_at_once=quota.films_at_once,
            films=quota.films,
            minutes_a_month=quota.minutes_a_month,
            minutes_left=quota.minutes_left,
            renewed_at=quota.renewed_at,
        ),
    )
