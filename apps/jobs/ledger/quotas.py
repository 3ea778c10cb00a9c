"""How much a person may have converted: films at once, and film minutes a month.

Both are decided under the lock of the person's row, so that of two films at the same
moment not both take the last place. That row is locked before any job's.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import QuerySet, Sum
from django.utils.timezone import now

from apps.jobs.ledger import rows
from apps.jobs.models import ACTIVE, Account, Charge, Job
from contract.errors import ErrorCode, StereoSpotError


@dataclass(frozen=True, slots=True)
class Quota:
    """What a person may have, and has; None is without a limit."""

    films_at_once: int | None
    films: int
    minutes_a_month: int | None
    seconds: float
    """Of film, this month."""
    renewed_at: datetime
    """When the next month begins."""

    @property
    def seconds_left(self) -> float | None:
        if self.minutes_a_month is None:
            return None
        return max(0.0, 60 * self.minutes_a_month - self.seconds)

    @property
    def minutes(self) -> float:
        return self.seconds / 60

    @property
    def minutes_left(self) -> float | None:
        return None if self.seconds_left is None else self.seconds_left / 60

    @property
    def refusal(self) -> StereoSpotError | None:
        """Why no film can be begun now."""
        if self.films_at_once is not None and self.films >= self.films_at_once:
            return _too_many(self)
        return _used_up(self) if self.seconds_left == 0 else None


def quota_of(user: User) -> Quota:
    account = Account.objects.filter(user=user).first() or Account(user=user)
    return _quota(user, account)


@transaction.atomic
def create(job: Job) -> None:
    """Save a new job, which waits for its source, if its owner may have one more.

    Raises `StereoSpotError`.
    """
    refusal = _locked(job.owner).refusal
    if refusal is not None:
        raise refusal
    job.save(force_insert=True)


@transaction.atomic
def charge(job: Job, seconds: float) -> bool:
    """The film counts for its owner's month, once, as long as it is said to be at most.

    False when the job is not this attempt's any more. Raises `StereoSpotError` when its
    owner has fewer minutes left.
    """
    quota = _locked(job.owner)
    # Or who cancels it now would find nothing to give back.
    rows.lock_job(job.pk)
    if not rows.held(job).exists():
        return False
    counted = Charge.objects.filter(job_id=job.pk, returned_at=None).first()
    more = seconds - (counted.seconds if counted else 0)
    if more <= 0:
        return True
    if quota.seconds_left is not None and more > quota.seconds_left:
        raise _too_long(quota, seconds, more)
    if counted:
        Charge.objects.filter(pk=counted.pk).update(seconds=seconds)
        return True
    facts = {"owner_id": job.owner_id, "seconds": seconds, "returned_at": None}
    Charge.objects.update_or_create(job_id=job.pk, defaults={**facts, "at": now()})
    return True


def admit_again(job: Job) -> None:
    """Whether its owner may have a failed film go on; raises `StereoSpotError`.

    In the caller's transaction, before the job's row is locked. Cutting asks for itself
    how long the film is.
    """
    quota = _locked(job.owner)
    if quota.films_at_once is not None and quota.films >= quota.films_at_once:
        raise _too_many(quota)
    charge = Charge.objects.filter(job_id=job.pk).first()
    if quota.seconds_left is None or (charge and charge.returned_at is None):
        return
    if quota.seconds_left == 0:
        raise _used_up(quota)
    if charge and charge.seconds > quota.seconds_left:
        raise _too_long(quota, charge.seconds, charge.seconds)


def _locked(user: User) -> Quota:
    """The person's quota, which is theirs alone until the transaction ends."""
    Account.objects.get_or_create(user=user)
    return _quota(user, Account.objects.select_for_update().get(user=user))


def _quota(user: User, account: Account) -> Quota:
    films, minutes = account.films_at_once, account.minutes_a_month
    if not user.is_staff:
        films = settings.QUOTA_FILMS_AT_ONCE if films is None else films
        minutes = settings.QUOTA_MINUTES_A_MONTH if minutes is None else minutes
    month = now().replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    counted = Charge.objects.filter(owner=user, returned_at=None, at__gte=month)
    return Quota(
        films_at_once=films,
        films=in_work(user).count(),
        minutes_a_month=minutes,
        seconds=counted.aggregate(sum=Sum("seconds", default=0.0))["sum"],
        renewed_at=(month + timedelta(days=32)).replace(day=1),
    )


def in_work(user: User) -> QuerySet[Job]:
    """The person's films that are neither over nor given up."""
    return Job.objects.filter(owner=user, status__in=["created", *ACTIVE])


def _too_many(quota: Quota) -> StereoSpotError:
    films = f"{quota.films} film{'' if quota.films == 1 else 's'}"
    if not quota.films_at_once:
        return StereoSpotError(
            ErrorCode.TOO_MANY_FILMS, "You may not convert films here: ask for it."
        )
    return StereoSpotError(
        ErrorCode.TOO_MANY_FILMS,
        f"You have {films} in work, which is as many as you may have at once. "
        "Wait until one is done, or cancel one.",
    )


def _used_up(quota: Quota) -> StereoSpotError:
    return StereoSpotError(
        ErrorCode.MINUTES_USED_UP,
        f"Your {quota.minutes_a_month} film minutes of this month are used up. "
        f"Come back on {_day(quota.renewed_at)}, or ask for more.",
    )


def _too_long(quota: Quota, seconds: float, more: float) -> StereoSpotError:
    left = (quota.seconds_left or 0) + seconds - more
    return StereoSpotError(
        ErrorCode.MINUTES_USED_UP,
        f"The film has {_minutes(seconds)}, and of your {quota.minutes_a_month} film "
        f"minutes of this month {_minutes(left)} are left. Press Retry on "
        f"{_day(quota.renewed_at)}, or ask for more.",
    )


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:.1f}".removesuffix(".0") + " min"


def _day(moment: datetime) -> str:
    return f"{moment:%-d %B}"
