"""A Celery result backend whose chords survive at-least-once delivery.

    CELERY_RESULT_BACKEND = "apps.pipeline.chords.ChordBackend"

It is django-celery-results' database backend with chords of its own, for any Celery app
on a Django database with row locks. Where the stock backend counts returns, it keeps the
*set* of parts that returned:

- A part counts once, however often its message is delivered, and success is final.
- When the last part is in, the chord is committed as ready; only then is its body sent,
  from the stored signature and under its fixed task id. Whoever makes a chord ready holds
  it for `SENDING`; a body that was not sent by then is sent by the part's redelivery or by
  `send_unsent`, to be called every half minute or so.
- The body may be sent twice, after a kill at the wrong moment, with the same task id.
- Applying a chord again (a redelivered task does so) changes nothing, if its ids are the
  same: give the group and its tasks ids of your own.
- A database outage at the end of a task is waited for (`apps.pipeline.outage`).

The body is sent outside of any transaction. It may be a chord itself, whose parts must
find it in the database when they return, and errbacks run in the same place.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

import structlog
from celery import group, maybe_signature, states
from celery.app.task import Context
from celery.exceptions import ChordError
from django.db import router, transaction
from django.db.models import F
from django.db.models.functions import Now
from django.utils.timezone import now
from kombu.exceptions import KombuError

from apps.pipeline import returns
from apps.pipeline.header import ids, leaves, takes_results, with_results
from apps.pipeline.models import Chord
from apps.pipeline.results import ResultBackend, delete_in_batches

log = structlog.get_logger(__name__)

SENDING = timedelta(seconds=10)
"""How long whoever took up a ready chord is left alone with it."""
PATIENCE = timedelta(hours=1)
"""How long a body that the broker does not take is tried before the chord fails."""
BATCH = 100
"""Most chords of a kind that one call of `send_unsent` treats; the next goes on."""


class ChordBackend(ResultBackend):
    """See the module's docstring."""

    # --- A chord is applied -----------------------------------------------------------

    def apply_chord(
        self, header_result_args: tuple[Any, ...], body: Any, **kwargs: Any
    ) -> None:
        """Remember the chord; its header is published next.

        A header that is made lazily is made now: `send_unsent` needs its ids.
        """
        group_id, results = header_result_args[:2]
        facts = {"header": self._packed(ids(results)), "body": self._packed(body)}
        self._lasting(
            lambda: Chord.objects.get_or_create(group_id=group_id, defaults=facts)
        )

    def set_chord_size(self, group_id: str, chord_size: int) -> None:
        """Called before the last message of the header is published."""

        def announce(chord: Chord) -> None:
            chord.remaining += chord_size - (chord.size or 0)
            chord.size = chord_size

        if self._lasting(lambda: self._changed(group_id, announce)):
            self._send(group_id)

    def add_to_chord(self, chord_id: str, result: Any) -> None:
        """Let one more task (from `Task.add_to_chord`) be a part."""
        header = ids([result])

        def add(chord: Chord) -> None:
            chord.header = self._packed(self._unpacked(chord.header) + header)
            chord.remaining += len(list(leaves(header)))

        self._lasting(lambda: self._changed(chord_id, add))

    # --- A part returns ---------------------------------------------------------------

    def on_chord_part_return(
        self, request: Context, state: str, result: Any, **kwargs: Any
    ) -> None:
        """A task of a header is over; maybe not for the first time."""
        task_id, group_id = request.id, request.group
        if not task_id or not group_id:
            return
        body = self._signature(request.chord)
        if request.ignore_result and body and takes_results(body):
            self.store_result(task_id, result, state, request=request)
        if self._lasting(lambda: self._returned(group_id, {task_id: state})):
            self._send(group_id)

    def _returned(self, group_id: str, parts: Mapping[str, str]) -> bool:
        """Add what is new of `parts`; whether the caller has to send the body."""
        state = returns.add(group_id, parts)
        if state is not None:
            return state == Chord.State.READY
        return self._taken_up(group_id, SENDING)

    def _changed(self, group_id: str, change: Callable[[Chord], None]) -> bool:
        """Change a waiting chord under its lock; whether that made it ready.

        Whoever makes it ready has to send the body.
        """
        with transaction.atomic(using=router.db_for_write(Chord)):
            waiting = Chord.objects.filter(pk=group_id, state=Chord.State.WAITING)
            # Header and body may be large; what is not read is not written either.
            chord = waiting.select_for_update().defer("header", "body").first()
            if chord is None:
                return False
            before = (chord.size, chord.remaining)
            change(chord)
            if before == (chord.size, chord.remaining):
                return False
            if chord.size is not None and chord.remaining <= 0:
                chord.state, chord.remaining = Chord.State.READY, 0
            chord.changed_at = chord.looked_at = Now()
            chord.save()
        return chord.state == Chord.State.READY

    # --- The body is sent -------------------------------------------------------------

    def send_unsent(self, older_than: timedelta) -> int:
        """Move on every chord that nobody has touched for so long; how many there were.

        Ready ones whose body was not sent, and waiting ones with parts whose result is
        stored but whose return was lost: their worker was killed between the two.
        """
        return self._send_ready(older_than) + self._find_returns(older_than)

    def _send_ready(self, older_than: timedelta) -> int:
        sent = 0
        for group_id in _untouched(Chord.State.READY, older_than):
            if self._taken_up(group_id, older_than):
                self._send(group_id)
                sent += 1
        return sent

    def _find_returns(self, older_than: timedelta) -> int:
        found = 0
        for group_id in _untouched(Chord.State.WAITING, older_than):
            chord = Chord.objects.get(pk=group_id)
            known = set(chord.parts.values_list("task_id", flat=True))
            missing = set(leaves(self._unpacked(chord.header))) - known
            over = self.TaskModel.objects.filter(
                task_id__in=missing, status__in=states.READY_STATES
            )
            parts = dict(over.values_list("task_id", "status"))
            Chord.objects.filter(pk=group_id).update(looked_at=Now())
            if parts:
                found += 1
                if self._returned(group_id, parts):
                    self._send(group_id)
        return found

    def _taken_up(self, group_id: str, untouched_for: timedelta) -> bool:
        """Take up a ready chord that nobody else is just sending."""
        ready = Chord.objects.filter(
            pk=group_id,
            state=Chord.State.READY,
            looked_at__lte=Now() - untouched_for,
        )
        return bool(ready.update(looked_at=Now()))

    def _send(self, group_id: str) -> None:
        """Send the body of a ready chord that the caller has taken up."""
        chord = self._lasting(lambda: Chord.objects.get(pk=group_id))
        body = self._signature(self._unpacked(chord.body))
        try:
            arguments = self._lasting(lambda: self._joined(chord, body))
        except ChordError as error:
            self._fail(chord, body, error)
            return
        try:
            body.apply_async(arguments)
        except Exception as error:  # brokers raise errors of their own
            log.exception("a chord's body was not sent", group_id=group_id)
            if chord.changed_at < now() - PATIENCE:
                self._fail(chord, body, _caused(f"Callback error: {error!r}", error))
        else:
            self._settle(chord, Chord.State.SENT)

    def _fail(self, chord: Chord, body: Any, error: ChordError) -> None:
        """The body is a failure: its errbacks are called, and what waits for it fails."""
        log.error("chord failed", group_id=chord.pk, error=str(error))
        if outer := self._signature(body.options.get("chord")):
            # The body is a part of an outer chord, whose errbacks Celery has linked to
            # it, too. They are called once, where they belong.
            theirs = outer.options.get("link_error") or []
            ours = body.options.get("link_error") or []
            body.options["link_error"] = [each for each in ours if each not in theirs]
        if not self._told(body, error) and chord.changed_at >= now() - PATIENCE:
            return  # it stays ready, and `send_unsent` tries again
        self.chord_error_from_stack(body, error)
        if outer:
            request = Context(
                body.options, id=body.id, group=body.options.get("group_id")
            )
            self.on_chord_part_return(request, states.FAILURE, error)
        self._settle(chord, Chord.State.FAILED, str(error))

    def _told(self, body: Any, error: ChordError) -> bool:
        """Call the body's errbacks; whether the broker took them.

        Celery's own way, in `chord_error_from_stack`, goes on when it does not.
        """
        if isinstance(body, group):  # each of its tasks has errbacks of its own
            return True
        errbacks = body.options.pop("link_error", None)
        if not errbacks:
            return True
        request = Context(
            {**body, "id": body.id, "errbacks": errbacks, "delivery_info": {}}
        )
        broker = self.app.connection_for_write()
        try:
            self._call_task_errbacks(request, error, None)
        except (KombuError, *broker.connection_errors, *broker.channel_errors):
            log.exception("a chord's errbacks were not sent", body=body.id)
            return False
        return True

    def _settle(self, chord: Chord, state: Chord.State, error: str = "") -> None:
        ready = Chord.objects.filter(pk=chord.pk, state=Chord.State.READY)
        self._lasting(lambda: ready.update(state=state, error=error, changed_at=Now()))

    def _joined(self, chord: Chord, body: Any) -> tuple[Any, ...]:
        """The body's arguments; raises `ChordError` if a part has no result to give."""
        failed = chord.parts.exclude(state=states.SUCCESS).order_by("pk")
        if culprits := list(failed.values_list("task_id", flat=True)):
            raise self._error_of(
                culprits[0], failed=len(culprits), parts=chord.parts.count()
            )
        if not takes_results(body):
            return ()
        header = self._unpacked(chord.header)
        rows = self.TaskModel.objects.filter(task_id__in=leaves(header)).only(
            "task_id", "result", "content_encoding"
        )
        results = {row.task_id: self.decode_content(row, row.result) for row in rows}
        try:
            return (with_results(header, results),)
        except KeyError as missing:
            raise ChordError(f"Dependency {missing} left no result") from None

    def _error_of(self, task_id: str, *, failed: int, parts: int) -> ChordError:
        row = self.TaskModel.objects.get_task(task_id)
        counted = f"{failed} of {parts} parts failed"
        if row.status not in states.PROPAGATE_STATES:  # its result was not to be stored
            return ChordError(f"Dependency {task_id} failed ({counted})")
        cause = self.exception_to_python(self.decode_content(row, row.result))
        return _caused(f"Dependency {task_id} raised {cause!r} ({counted})", cause)

    def cleanup(self) -> None:
        """As the base class, and the chords that nothing has happened to for so long."""
        super().cleanup()
        if self.expires:
            before = now() - timedelta(seconds=self.expires)
            delete_in_batches(Chord.objects.filter(changed_at__lt=before))

    def _signature(self, content: Any) -> Any:
        return maybe_signature(content, app=self.app)


def _untouched(state: Chord.State, older_than: timedelta) -> list[str]:
    chords = Chord.objects.filter(state=state, looked_at__lte=Now() - older_than)
    if state == Chord.State.WAITING:
        # For some, as those of a stopped film, nothing comes: they are looked at ever less
        # often, each time after as long as nothing had come until the last time.
        chords = chords.filter(
            looked_at__lte=Now() - (F("looked_at") - F("changed_at"))
        )
    return list(chords.order_by("looked_at").values_list("pk", flat=True)[:BATCH])


def _caused(message: str, cause: BaseException | None) -> ChordError:
    error = ChordError(message)
    error.__cause__ = cause
    return error
