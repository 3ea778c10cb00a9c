"""What becomes of a notice: told, tried again, or given up.

It is told at least once, each time with the same id. An address that does not answer holds
back its own notices and nobody else's.
"""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from django.db import transaction
from django.db.models import F, QuerySet
from django.db.models.functions import Greatest
from django.utils.timezone import now

from apps.jobs.ledger.rows import short
from apps.jobs.models import Notice, Subscription

TELLING = timedelta(minutes=2)
"""Who has claimed a notice has told it by then, or has died."""
SHORTEST, LONGEST = timedelta(seconds=30), timedelta(hours=12)
"""Of the pauses: an address is left alone for as long again as it has failed."""
KEPT_TRYING = timedelta(days=3)
"""A notice that could not be told for so long is given up."""
STOPPED_AFTER = timedelta(days=5)
"""A subscription over which nothing could be told for so long is stopped."""
REMEMBERED = timedelta(days=30)
"""How long people can see what was told."""


@transaction.atomic
def unsubscribe(subscription_id: int) -> None:
    """Tell nothing more over it, and forget what was told."""
    # Before its notices: the ledger may be about to add one.
    if _locked(subscription_id):
        Subscription.objects.filter(pk=subscription_id).delete()


@transaction.atomic
def claim_notice(notice_id: UUID) -> Notice | None:
    """Take a notice for one attempt; None when it is not due, or another has it.

    Of an address that has failed the others wait: it is asked for one at a time.
    """
    due = Notice.objects.filter(pk=notice_id, due_at__lte=now())
    found = due.first()
    # It is gone when the person has unsubscribed just now.
    subscription = _locked(found.subscription_id) if found else None
    over = now() + TELLING
    if subscription is None or not due.update(due_at=over, attempts=F("attempts") + 1):
        return None
    if subscription.failing_since:
        _due_over(subscription.pk).update(due_at=Greatest(F("due_at"), over))
    return Notice.objects.select_related("subscription__owner").get(pk=notice_id)


@transaction.atomic
def note_told(notice: Notice, answer: str) -> bool:
    """It was told: the others that waited for the address to answer are due at once."""
    subscription = _locked(notice.subscription_id)
    told = _claimed(notice).update(sent_at=now(), due_at=None, answer=short(answer))
    if subscription and subscription.failing_since:
        Subscription.objects.filter(pk=subscription.pk).update(failing_since=None)
        _due_over(subscription.pk).update(due_at=now())
    return told == 1


@transaction.atomic
def note_untold(notice: Notice, answer: str, *, gone: bool = False) -> bool:
    """It could not be told: tried again after a pause, or given up.

    The others of the subscription wait as long: an address that does not answer is asked
    once in a while, not once for each, and the pause grows with the time that it has not
    answered, whatever is to be told. `gone`: it never will answer again.
    """
    subscription = _locked(notice.subscription_id)
    if subscription is None:
        return False
    since = subscription.failing_since or now()
    again = now() + max(SHORTEST, min(LONGEST, now() - since))
    is_late = notice.created_at < now() - KEPT_TRYING
    noted = _claimed(notice).update(
        due_at=None if is_late else again, answer=short(answer)
    )
    if gone and subscription.channel == Subscription.Channel.PUSH:
        # A browser comes back with another address, or never; nobody can mend this one.
        subscription.delete()
        return noted == 1
    others = _due_over(subscription.pk)
    has_failed_long = since < now() - STOPPED_AFTER
    is_over = gone or has_failed_long or subscription.stopped_at is not None
    Subscription.objects.filter(pk=subscription.pk).update(
        failing_since=since,
        stopped_at=subscription.stopped_at or (now() if is_over else None),
    )
    others.update(due_at=None if is_over else Greatest(F("due_at"), again))
    return noted == 1


def forget_notices(number: int) -> int:
    """Delete some, `number` at most, that are settled and older than people can see."""
    old = Notice.objects.filter(created_at__lt=now() - REMEMBERED, due_at=None)
    chosen = old.order_by("created_at").values("pk")[:number]
    deleted, _ = Notice.objects.filter(pk__in=chosen).delete()
    return deleted


def _locked(subscription_id: int) -> Subscription | None:
    """Before its notices: all that touch both lock in this order."""
    locked = Subscription.objects.select_for_update(no_key=True)
    return locked.filter(pk=subscription_id).first()


def _claimed(notice: Notice) -> QuerySet[Notice]:
    """The notice's row, if the attempt of `notice` still has it."""
    return Notice.objects.filter(pk=notice.pk, attempts=notice.attempts, sent_at=None)


def _due_over(subscription_id: int) -> QuerySet[Notice]:
    return Notice.objects.filter(subscription=subscription_id, due_at__isnull=False)
