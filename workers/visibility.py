"""The visibility keeper: a message stays ours for as long as we hold it.

kombu extends nothing: a task that takes longer than its queue's visibility timeout, and a
message that waits in the worker for that long, is handed to a second worker while the
first is at it. One long timeout instead would mean as long a wait after each crash.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

logger = logging.getLogger(__name__)

# SQS extends a message for 12 hours after its receipt, counted on its own clock.
LONGEST_CAP = 12 * 3600 - 60
BATCH = 10  # entries, of SQS's batch calls
RETRY_EVERY = 1.0  # seconds between attempts at what failed, and for which acks gather
STOP_WITHIN = 6.0  # seconds: one call of kombu's `release_client_config` takes 5

# SQS says in these ways that a receipt, or the whole queue, is no longer good.
_LOST = {
    "InvalidParameterValue",
    "MessageNotInflight",
    "NonExistentQueue",
    "QueueDoesNotExist",
    "ReceiptHandleIsInvalid",
}


def is_lost(code: str) -> bool:
    """Whether an error code means that nothing can be done with the message any more."""
    return code.rpartition(".")[2] in _LOST


def code_of(error: Exception) -> str:
    """SQS's code of an error that boto raised, empty for one of the network."""
    return (
        str(error.response["Error"]["Code"]) if isinstance(error, ClientError) else ""
    )


@dataclass(frozen=True, slots=True)
class Held:
    """A message in our hands. Its receipt is what SQS knows it by."""

    receipt: str
    queue_url: str
    since: float = field(default_factory=time.monotonic)


class VisibilityKeeper:
    """Extends every message it holds, from one thread, for one connection.

    A third of the visibility timeout lies between two extensions. One that fails is tried
    again every second, so that an outage of nearly the other two thirds loses none.
    After `cap` seconds a message is let go: whoever holds it that long hangs.

    The keeper also deletes what is done with, ten messages a call: as soon as ten wait, and
    each second what there is. Until then it is held, so nobody else is given it; after a
    kill within that second it comes again, as it would after one before the task's end.
    """

    def __init__(self, timeout: int, cap: float):
        self.timeout = max(timeout, 1)
        self.interval = self.timeout / 3
        self.cap = min(cap, LONGEST_CAP)
        self._held: dict[str, Held] = {}
        self._to_extend: dict[str, Held] = {}  # now; of the keeper's thread alone
        self._to_delete: dict[str, Held] = {}
        self._makers: dict[str, Callable[[], Any]] = {}
        self._clients: dict[str, Any] = {}
        self._calling = threading.Lock()
        self._starting = threading.Lock()
        self._woken = threading.Event()
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def hold(
        self, receipt: str, queue_url: str, make_client: Callable[[], Any]
    ) -> None:
        """Keep the message from others until it is released."""
        self._makers.setdefault(queue_url, make_client)
        self._held[receipt] = Held(receipt, queue_url)
        self._start()

    def _start(self) -> None:
        with self._starting:
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._run,
                    args=(time.monotonic() + self.interval,),
                    name="sqs-visibility",
                    daemon=True,
                )
                self._thread.start()

    def release(self, receipt: str) -> None:
        """The message is done with."""
        if receipt not in self._to_delete:
            self._held.pop(receipt, None)

    def give_up(self, receipt: str) -> None:
        """The message shall be seen by others: no extension of ours may come later."""
        with self._calling:
            self._held.pop(receipt, None)

    def delete(
        self, receipt: str, queue_url: str, make_client: Callable[[], Any]
    ) -> None:
        """The message is done with: delete it with others, and hold it until then."""
        self._makers.setdefault(queue_url, make_client)
        # One that was let go, or lost, may be ours for all that.
        held = self._held.setdefault(receipt, Held(receipt, queue_url))
        self._to_delete[receipt] = held
        self._start()
        if self._stopped.is_set():
            self._try(self._delete)
        elif len(self._to_delete) % BATCH == 0 or _is_ordered(queue_url):
            self._woken.set()

    def stop(self) -> None:
        """Delete what is left, and end."""
        self._stopped.set()
        self._woken.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(STOP_WITHIN)
        if self._to_delete:
            logger.error("Done, but not deleted: %d messages", len(self._to_delete))

    def _run(self, extend_at: float) -> None:
        while not self._stopped.is_set():
            self._delete_what_fills_calls(min(self.interval, RETRY_EVERY))
            if time.monotonic() >= extend_at:
                self._to_extend = dict(self._held)
                extend_at = time.monotonic() + self.interval
            self._try(self._extend)
            self._try(self._delete)
        self._try(self._delete)

    def _delete_what_fills_calls(self, seconds: float) -> None:
        """For so long."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0 and self._woken.wait(left):
            self._woken.clear()
            if self._stopped.is_set():
                return
            self._try(partial(self._delete, only_ripe=True))

    def _try(self, step: Callable[[], None]) -> None:
        try:
            step()
        except Exception:  # (the thread must outlive any one beat)
            logger.exception("The visibility keeper stumbled")

    def _extend(self) -> None:
        """Extend what is due, and let go what was held for too long."""
        for held in list(self._held.values()):
            if time.monotonic() - held.since >= self.cap:
                logger.error("Let go after %d s: %s", self.cap, held.receipt[:20])
                self._forget(held)
        self._to_extend = {r: h for r, h in self._to_extend.items() if r in self._held}
        for url, messages in self._batches(self._to_extend):
            with self._calling:
                # Only what nobody gave up while the call before was under way.
                left = [held for held in messages if held.receipt in self._held]
                if left:
                    done = self._call(
                        "change_message_visibility_batch", url, left, self._terms
                    )
                    for held in done:
                        del self._to_extend[held.receipt]

    def _terms(self, held: Held) -> dict[str, int]:
        left = math.ceil(self.cap - (time.monotonic() - held.since))
        return {"VisibilityTimeout": max(1, min(self.timeout, left))}

    def _delete(self, *, only_ripe: bool = False) -> None:
        """`only_ripe`: what fills a call, or keeps the next of its group waiting."""
        for url, messages in self._batches(self._to_delete):
            if only_ripe and len(messages) < BATCH and not _is_ordered(url):
                continue
            for held in self._call("delete_message_batch", url, messages, lambda _: {}):
                self._forget(held)

    def _batches(self, of: dict[str, Held]) -> Iterator[tuple[str, list[Held]]]:
        queues: defaultdict[str, list[Held]] = defaultdict(list)
        for held in list(of.values()):
            queues[held.queue_url].append(held)
        for url, messages in queues.items():
            for start in range(0, len(messages), BATCH):
                yield url, messages[start : start + BATCH]

    def _call(
        self,
        operation: str,
        url: str,
        messages: list[Held],
        terms: Callable[[Held], dict[str, int]],
    ) -> list[Held]:
        """The messages for which it worked. Lost ones are logged and forgotten."""
        entries = [
            {"Id": str(n), "ReceiptHandle": held.receipt} | terms(held)
            for n, held in enumerate(messages)
        ]
        try:
            answer = getattr(self._client(url), operation)(
                QueueUrl=url, Entries=entries
            )
        except (ClientError, BotoCoreError) as error:
            codes = dict.fromkeys(range(len(messages)), code_of(error))
            logger.warning("%s of %d messages: %s", operation, len(messages), error)
        else:
            codes = {int(e["Id"]): str(e["Code"]) for e in answer.get("Failed", [])}
        for n, code in codes.items():
            # One that was acknowledged meanwhile is no loss.
            if is_lost(code) and messages[n].receipt in self._held:
                logger.error("Lost to others (%s): %s", code, messages[n].receipt[:20])
                self._forget(messages[n])
        return [held for n, held in enumerate(messages) if n not in codes]

    def _client(self, url: str) -> Any:
        if url not in self._clients:
            self._clients[url] = self._makers[url]()
        return self._clients[url]

    def _forget(self, held: Held) -> None:
        self._held.pop(held.receipt, None)
        self._to_delete.pop(held.receipt, None)
        self._to_extend.pop(held.receipt, None)


def _is_ordered(queue_url: str) -> bool:
    """Whether a message is delivered only after the one before it was deleted."""
    return queue_url.endswith(".fifo")
