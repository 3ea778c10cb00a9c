"""One run: parts up, films in, harm done, calm, and a look at what is left."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from django.conf import settings
from django.core.management import call_command

from apps.jobs import storage
from apps.jobs.models import DeadLetter, Job
from tests.chaos import calls, deliveries, films, haste, invariants, mechanisms, notes
from tests.chaos.deliveries import Dead
from tests.chaos.faults import Faults
from tests.chaos.figures import summary
from tests.chaos.fleet import WORKERS, Fleet
from tests.chaos.invariants import Expected
from tests.chaos.journal import Entry
from tests.chaos.people import Fate, People
from tests.chaos.points import folder, journal, orders
from tests.chaos.queues import Queues
from tests.chaos.violations import Violation
from tests.faulty_sqs import FaultySqs

SMALL = 10
"""Films; a run of so few is to be over soon."""
TICK = 0.1
LOOK = 0.5
"""Seconds between two looks at everything, which is much in a long run."""
TELL = 15.0
"""Seconds between two lines about how a run goes."""
ENOUGH = 0.9
"""Share of the jobs that are over when the harm ends: the last ones must find calm."""


@dataclass(frozen=True)
class Plan:
    seed: int
    films: int
    """Ordinary ones; those that are damaged, mended, cancelled and deleted come on top,
    of each kind one to every ten."""
    segments: int
    """Of each film."""

    @property
    def is_small(self) -> bool:
        return self.films <= SMALL

    @property
    def pause(self) -> tuple[float, float]:
        """Least and most seconds between two faults."""
        return (0.2, 1.2) if self.is_small else (1.0, 6.0)

    @property
    def most_harm(self) -> float:
        """Seconds, so that a run ends although nothing moves any more."""
        return 60 + self.films * self.segments

    @property
    def most_calm(self) -> float:
        """Seconds after the harm within which all must be well.

        A lease, its sweep and a pause take 8 s, the patience with a message 10 s and the
        look for late writers 12 s; the work of one job in ten may be left as well.
        """
        return 60 + 0.2 * self.films * self.segments


@dataclass(frozen=True)
class Outcome:
    figures: dict[str, Any]
    violations: Sequence[Violation]
    logs: str
    """The last that the workers have said."""


def play(plan: Plan, sqs: FaultySqs) -> Outcome:
    """One run on the embedded parts, which are up, with SQS behind the proxy."""
    began = time.monotonic()
    random = Random(plan.seed)
    haste.hurry()
    notes.note_restarts()
    call_command("migrate", verbosity=0)
    sources = folder / "films"
    sources.mkdir()
    films.make(sources, plan.segments, settings.SEGMENT_SECONDS)
    queues = Queues(f"http://{sqs.upstream}")
    with Fleet(folder, journal, random) as fleet:
        people = People(sources, random, plan.films, plan.segments)
        _do_harm(plan, sqs, fleet, people, random)
        expected = [wish.expected for wish in people.wishes]
        _come_to_rest(plan, fleet, queues, expected)
    entries = journal.entries()
    dead = _dead_letters(queues)
    extensions = sqs.counts["ChangeMessageVisibilityBatch"]
    violations = [
        *_look(expected, queues),
        *_look_at_journal(entries, dead, extensions),
    ]
    whole = [wish for wish in people.wishes if wish.fate is not Fate.DAMAGED]
    figures = {
        "films": len(people.wishes),
        "segments": plan.segments * len(whole),
        "restarts": fleet.restarts,
        "messages_doubled": sqs.doubled,
        "messages_dropped": sqs.dropped,
        "messages_delayed": sqs.delayed,
        "dead_letters": len(dead),
        "extensions": extensions,
        **summary(entries, violations),
        "seconds": round(time.monotonic() - began, 1),
    }
    return Outcome(figures, violations, fleet.logs())


def _do_harm(
    plan: Plan, sqs: FaultySqs, fleet: Fleet, people: People, random: Random
) -> None:
    """Until each kind of it was done, and most jobs of a long run are over."""
    faults = Faults(fleet, sqs, orders, random, pause=plan.pause, once=plan.is_small)

    def live_on() -> bool:
        faults.tick()
        people.tick()
        share = people.share_over()
        enough = faults.all_had_their_turn and (plan.is_small or share >= ENOUGH)
        return enough or (people.is_done and share == 1)

    _until(live_on, plan.most_harm, fleet)
    faults.stop()

    def finish() -> bool:
        people.tick()
        return people.is_done

    _until(finish, plan.most_calm, fleet)


def _come_to_rest(
    plan: Plan, fleet: Fleet, queues: Queues, expected: Sequence[Expected]
) -> None:
    """Wait for what must come to pass; what did not, the look finds."""

    def is_over() -> bool:
        return not any(invariants.stuck(expected)) and not any(invariants.orphans())

    _until(is_over, plan.most_calm, fleet, every=LOOK)
    fleet.stop("beat")
    visibility = settings.CELERY_BROKER_TRANSPORT_OPTIONS["visibility_timeout"]
    # A message that a killed worker had comes back, may wait for a retry, and is done.
    _until(
        lambda: not any(queues.waiting().values()), 3 * visibility, fleet, every=LOOK
    )
    fleet.stop(*(name for name in WORKERS if name != "beat"))
    storage.clear_leftovers()  # as the next worker would that starts here


def _look(expected: Sequence[Expected], queues: Queues) -> list[Violation]:
    return [
        *invariants.stuck(expected),
        *invariants.lost(expected),
        *invariants.contradictions(),
        *invariants.orphans(),
        *invariants.temporary_files(),
        *invariants.unsent_callbacks(),
        *invariants.messages_left(queues.waiting()),
    ]


def _look_at_journal(
    entries: Sequence[Entry], dead: Sequence[Dead], extensions: int
) -> list[Violation]:
    completed = Job.objects.filter(status=Job.Status.COMPLETED).count()
    visibility = settings.CELERY_BROKER_TRANSPORT_OPTIONS["visibility_timeout"]
    return [
        *calls.doubled(entries),
        *calls.too_many(entries),
        *calls.doubled_finals(entries),
        *deliveries.unexplained(dead, entries),
        *mechanisms.silent_chords(entries, completed),
        *mechanisms.missing_extensions(entries, extensions, visibility),
        *invariants.dead_workers(entries),
    ]


def _dead_letters(queues: Queues) -> list[Dead]:
    """Also those that the sweep has taken out, which may lie in both places."""
    rows = DeadLetter.objects.values_list("queue", "message_id", "body")
    letters = [*queues.dead(), *(Dead(*row) for row in rows)]
    return list({letter.message_id: letter for letter in letters}.values())


def _until(
    holds: Callable[[], bool], seconds: float, fleet: Fleet, every: float = TICK
) -> None:
    """Go on until it holds, or for so many seconds; workers are kept alive."""
    began = told = time.monotonic()
    while time.monotonic() < began + seconds and not holds():
        fleet.watch()
        if time.monotonic() > told + TELL:
            told = time.monotonic()
            print(_progress(), flush=True)
        time.sleep(every)


def _progress() -> str:
    counts = Counter(Job.objects.values_list("status", flat=True))
    killed = sum(entry.what == "killed" for entry in journal.entries())
    jobs = ", ".join(f"{count} {status}" for status, count in counts.items())
    return f"{killed} killed; jobs: {jobs}"
