"""A kombu transport between the processes of one machine, which costs next to nothing.

So the simulation measures the ledger and not the embedded SQS. Queues exist before
processes are forked, which share them.
"""

from __future__ import annotations

import multiprocessing
from typing import Any

from kombu.transport import virtual

from apps.pipeline.messages import QUEUES

_queues: dict[str, Any] = {
    name: multiprocessing.get_context("fork").Queue() for name in QUEUES
}

for _queue in _queues.values():
    _queue.cancel_join_thread()  # who is interrupted does not wait for readers


class Channel(virtual.Channel):  # type: ignore[misc] # it has no types
    do_restore = False

    def _has_queue(self, queue: str, **kwargs: Any) -> bool:
        return queue in _queues

    def _put(self, queue: str, message: Any, **kwargs: Any) -> None:
        _queues[queue].put(message)

    def _get(self, queue: str, timeout: float | None = None) -> Any:
        """Raises `queue.Empty`, as kombu wants it."""
        return _queues[queue].get_nowait()

    def _size(self, queue: str) -> int:
        return int(_queues[queue].qsize())


class Transport(virtual.Transport):  # type: ignore[misc] # it has no types
    Channel = Channel
