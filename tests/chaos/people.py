"""Those who bring films, change their minds, and mend what was damaged."""

from __future__ import annotations

import time
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path
from random import Random
from uuid import UUID

import structlog
from botocore.exceptions import BotoCoreError, ClientError
from kombu.exceptions import KombuError

from apps.jobs import ledger, local, storage
from apps.jobs.models import Job
from apps.pipeline import messages, retrying
from contract.modes import Engine, StereoMode, StereoSettings
from tests.chaos import films
from tests.chaos.invariants import Expected

log = structlog.get_logger(__name__)

SQS_AWAY = (KombuError, BotoCoreError, ClientError)

ENGINE = Engine.FAST
"""Films are cut where their shots begin only for engines that pay for context."""
EVERY = 0.5
"""Seconds between two films that are brought."""
LOOK_AGAIN = 1.0
"""Seconds after which people look again whether their film has failed."""


class Fate(Enum):
    ORDINARY = auto()
    DAMAGED = auto()
    """It fails, and nobody mends it."""
    MENDED = auto()
    """It fails, its source is replaced, and *Retry* makes it a film."""
    CANCELLED = auto()
    DELETED = auto()


@dataclass
class Wish:
    """One film that somebody wants converted."""

    fate: Fate
    source: Path
    """What the final must be equal to."""
    bring_at: float
    """By the monotonic clock, as all times here."""
    act_at: float
    """When to cancel, delete or look whether it failed."""
    segments: int
    job_id: UUID | None = None
    acted: bool = False
    is_over_already: bool = False
    """When it was to be cancelled."""

    @property
    def expected(self) -> Expected:
        if self.job_id is None:
            raise RuntimeError(f"{self.source} was never brought")
        statuses = {Fate.DAMAGED: "failed", Fate.DELETED: "deleted"}
        status = statuses.get(self.fate, "completed")
        if self.fate is Fate.CANCELLED and not self.is_over_already:
            status = "cancelled"
        return Expected(self.job_id, self.source, status, self.segments)


class People:
    """Call `tick` every moment until `is_done`."""

    def __init__(self, folder: Path, random: Random, count: int, segments: int) -> None:
        strange = [fate for fate in Fate if fate is not Fate.ORDINARY]
        fates = [Fate.ORDINARY] * count + strange * max(1, count // 10)
        random.shuffle(fates)
        now = time.monotonic()
        self._folder = folder
        self.wishes = []
        for number, fate in enumerate(fates):
            kind = films.KINDS[number % len(films.KINDS)]
            name = films.DAMAGED[number % 2] if fate is Fate.DAMAGED else kind.name
            source = films.copy(folder / name, number)
            bring_at = now + number * EVERY
            act_at = bring_at + random.uniform(0.0, 6.0)
            self.wishes.append(Wish(fate, source, bring_at, act_at, segments))

    @property
    def is_done(self) -> bool:
        """Nobody has anything left to do."""
        return all(wish.job_id and wish.acted for wish in self.wishes)

    def share_over(self) -> float:
        """Share of the jobs that are over, or gone."""
        active = Job.objects.filter(finished_at=None).values_list("pk", flat=True)
        waiting = set(active)
        over = [w.job_id is not None and w.job_id not in waiting for w in self.wishes]
        return sum(over) / len(over)

    def tick(self) -> None:
        for wish in self.wishes:
            if wish.job_id is None and time.monotonic() >= wish.bring_at:
                self._bring(wish)
            elif wish.job_id is not None and not wish.acted:
                self._act(wish, wish.job_id)

    def _bring(self, wish: Wish) -> None:
        source = wish.source
        if wish.fate is Fate.MENDED:
            source = self._damaged(source)
        request = local.Request(
            source, self._folder, StereoMode.SBS, ENGINE, StereoSettings()
        )
        try:
            wish.job_id = local.begin(request).pk
        except SQS_AWAY as error:
            # A person would see it; the job is there, and the sweep sends for it.
            log.info("a film was brought in a bad moment", reason=str(error))
            known = Job.objects.filter(fingerprint=request.fingerprint)
            started = known.exclude(status=Job.Status.CREATED).first()
            wish.job_id = started and started.pk

    def _act(self, wish: Wish, job_id: UUID) -> None:
        match wish.fate:
            case Fate.ORDINARY | Fate.DAMAGED:
                wish.acted = True
            case Fate.CANCELLED if time.monotonic() >= wish.act_at:
                wish.is_over_already = not ledger.cancel(job_id)
                wish.acted = True
            case Fate.DELETED if time.monotonic() >= wish.act_at:
                wish.acted = ledger.delete(job_id)
            case Fate.MENDED if time.monotonic() >= wish.act_at:
                wish.act_at += LOOK_AGAIN
                wish.acted = self._mend(wish, job_id)

    def _mend(self, wish: Wish, job_id: UUID) -> bool:
        """Once it has failed: put the good film in its place and retry."""
        job = Job.objects.get(pk=job_id)
        if job.status != Job.Status.FAILED:
            return False
        storage.source().adopt(job.source_key, wish.source)
        again = retrying.retry(job_id)
        if again is None:
            return False
        try:
            messages.send_retry(again)
        except SQS_AWAY as error:  # as above
            log.info("a film was retried in a bad moment", reason=str(error))
        return True

    def _damaged(self, source: Path) -> Path:
        bad = source.with_name(f"damaged-{source.name}")
        bad.write_bytes((self._folder / films.DAMAGED[0]).read_bytes())
        return bad
