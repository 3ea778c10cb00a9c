"""What may be asked for here, as data."""

from __future__ import annotations

from datetime import datetime

from django.conf import settings
from ninja import Router

from apps.jobs import estimates, ledger
from apps.jobs.api.access import TokenRequest
from apps.jobs.api.problems import answers
from apps.jobs.forms import ENGINES, MODES
from apps.jobs.models import ENGINE_CHOICES, MODE_CHOICES
from contract.generation import (
    CLIPS_LICENCE,
    LARGEST_SIDE,
    LONGEST_SECONDS,
    MOST_PIXELS,
)
from contract.modes import Engine, Payload, StereoMode, WeightsLicence

router = Router(tags=["Offers"])


class ModeOffer(Payload):
    id: StereoMode
    name: str
    about: str


class ExpectedTime(Payload):
    """Of one worker, for a minute of HD film (1920 × 1080, 24 frames a second) where
    nothing else is said."""

    low: float
    """Seconds."""
    high: float
    is_measured: bool
    """By what the engine lately took here; otherwise by our own estimate."""


class EngineOffer(Payload):
    id: Engine
    name: str
    about: str
    licence: WeightsLicence
    takes: ExpectedTime
    lacks_card: bool
    """The machine that converts has no graphics card, without which it cannot work."""


class PromptOffer(Payload):
    """Clips are made of prompts, and may stay `flat`."""

    longest_seconds: float
    largest_side: int
    """Pixels, of either side; together they have `most_pixels` at most."""
    most_pixels: int
    licence: WeightsLicence
    takes: ExpectedTime
    """For a clip of five seconds at 1280 × 704."""
    lacks_card: bool


class Limits(Payload):
    source_bytes: int
    """Largest file that is accepted."""
    source_seconds: float
    """Longest film that is accepted."""
    link_hosts: list[str]
    """Sites that films are fetched from, `*` for any; empty: from none."""
    link_buckets: list[str]


class OwnQuota(Payload):
    """What you may have converted; null: without a limit."""

    films_at_once: int | None
    films: int
    """In work now."""
    minutes_a_month: int | None
    minutes_left: float | None
    renewed_at: datetime


class Offers(Payload):
    """What may be asked for here."""

    modes: list[ModeOffer]
    engines: list[EngineOffer]
    prompts: PromptOffer | None
    """Null: none are made here."""
    limits: Limits
    quota: OwnQuota


@router.get("/offers", response=answers(200, Offers))
def show_offers(request: TokenRequest) -> Offers:
    """Modes, engines, limits, and what you have left."""
    quota = ledger.quota_of(request.auth)
    return Offers(
        modes=[
            ModeOffer(id=StereoMode(id_), name=name, about=MODES[StereoMode(id_)])
            for id_, name in MODE_CHOICES
        ],
        engines=[_engine(Engine(id_), name) for id_, name in ENGINE_CHOICES],
        prompts=_prompts() if settings.PROMPTS else None,
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


def _engine(engine: Engine, name: str) -> EngineOffer:
    expected = estimates.expected(engine)
    return EngineOffer(
        id=engine,
        name=name,
        about=ENGINES[engine],
        licence=engine.licence,
        takes=_takes(expected),
        lacks_card=expected.lacks_card,
    )


def _prompts() -> PromptOffer:
    expected = estimates.expected_clip()
    return PromptOffer(
        longest_seconds=LONGEST_SECONDS,
        largest_side=LARGEST_SIDE,
        most_pixels=MOST_PIXELS,
        licence=CLIPS_LICENCE,
        takes=_takes(expected),
        lacks_card=expected.lacks_card,
    )


def _takes(expected: estimates.Expected) -> ExpectedTime:
    return ExpectedTime(
        low=expected.range.low,
        high=expected.range.high,
        is_measured=expected.measured is not None,
    )
