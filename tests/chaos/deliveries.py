"""Dead letters: each needs as many deliveries that the run's own harm has lost."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise

from celery import states
from django.conf import settings

from apps.pipeline.letters import read
from tests.chaos.calls import is_hit
from tests.chaos.journal import Entry
from tests.chaos.violations import Violation


@dataclass(frozen=True, slots=True)
class Dead:
    """A message that SQS gave up, found in its queue or in the ledger."""

    queue: str
    message_id: str
    """By SQS; the same for each delivery."""
    body: str


def most_deliveries() -> int:
    """After which SQS gives up a message."""
    terms = settings.CELERY_BROKER_TRANSPORT_OPTIONS["dead_letters"]
    return int(terms["max_receive_count"])


def unexplained(
    letters: Iterable[Dead], entries: Sequence[Entry]
) -> Iterator[Violation]:
    """Dead letters of which too few deliveries are known to be lost, or none at all."""
    ordered = sorted(entries, key=lambda entry: entry.at)
    for dead in letters:
        lost = lost_deliveries(dead.message_id, ordered)
        if lost < most_deliveries():
            letter = read(dead.body)
            task = f"{letter.task} {letter.task_id}" if letter.task else "no task"
            of = f"{lost} of {most_deliveries()} deliveries"
            what = f"dead in the queue {dead.queue}: {task}, but {of} were harmed"
            job = str(letter.job_id or "")
            yield Violation("message", job, what)


def lost_deliveries(message_id: str, entries: Sequence[Entry]) -> int:
    """How many were killed with their worker, or put back by it; by time of entry."""
    received = [e for e in entries if e.what == "received" and e.detail == message_id]
    if not received:
        return 0
    never = Entry("received", float("inf"))
    return sum(
        _is_lost(delivery, [e for e in entries if delivery.at <= e.at <= later.at])
        for delivery, later in pairwise(chain(received, [never]))
    )


def _is_lost(delivery: Entry, until_next: Sequence[Entry]) -> bool:
    """`until_next`: what happened until the message was delivered again."""
    hands = [delivery]
    for entry in until_next:
        if entry.group == delivery.group and entry.task == delivery.task:
            if entry.what == "started":
                hands.append(entry)
            elif entry.what == "ended":
                if entry.detail == states.REJECTED:
                    return True
                hands = [delivery]
        elif any(is_hit(hand, entry) for hand in hands):
            return True
    return False
