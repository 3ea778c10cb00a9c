"""Who asked for what: each conversion once, a few that wait, and nobody's cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import TypeAlias

import structlog
from structlog.contextvars import bound_contextvars

from contract.errors import ErrorCode, StereoSpotError
from contract.invocation import Completed, Invocation
from inference.service import logs
from inference.service.metrics import Metrics
from inference.service.objects import Made, Results
from inference.service.places import Place, places_of
from inference.service.settings import Settings
from inference.service.worker import Worker

log = structlog.get_logger(__name__)

Work: TypeAlias = tuple[Place, str]
"""Where the result goes, and the digest of what it is made by."""


class Desk:
    """Takes invocations; at most one of them is converted at a time."""

    def __init__(
        self, settings: Settings, worker: Worker, results: Results, metrics: Metrics
    ) -> None:
        self._settings = settings
        self._worker = worker
        self._results = results
        self._metrics = metrics
        self._flights: dict[Work, _Flight] = {}
        self._turn = asyncio.Lock()
        self._inside = 0
        """Conversions that run or wait."""
        self.is_closed = False

    @asynccontextmanager
    async def flight(self, invocation: Invocation) -> AsyncIterator[_Flight]:
        """The conversion that is asked for, running already or begun now.

        It goes on for a while after the last caller has left this context. Its task ends
        with Completed, or with StereoSpotError: BUSY where too many wait, STOPPING when
        the server does, and those of `places_of` and `Worker.convert`.
        """
        if self.is_closed:
            raise stopping()
        place = places_of(invocation, self._settings).target
        work = place, invocation.digest
        flight = self._flights.get(work)
        if flight is None:
            task = asyncio.create_task(self._convert(invocation))
            flight = self._flights[work] = _Flight(task)
            task.add_done_callback(partial(self._landed, work))
        flight.join()
        try:
            yield flight
        finally:
            flight.leave(after=self._settings.inference_linger_seconds)

    def _landed(self, work: Work, task: asyncio.Task[Completed]) -> None:
        self._flights.pop(work).land()
        if not task.cancelled():
            task.exception()  # seen, though all callers may be gone

    async def close(self, seconds: float) -> None:
        """Take nothing more; let what runs end within so long, then cancel it."""
        self.is_closed = True
        for flight in self._flights.values():
            if not flight.has_begun:
                flight.task.cancel()
        tasks = [flight.task for flight in self._flights.values()]
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=seconds)
            for task in late:
                log.warning("cancelling a conversion: the server has to stop")
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _convert(self, invocation: Invocation) -> Completed:
        with bound_contextvars(**logs.context(invocation)):
            try:
                return await self._converted(invocation)
            except StereoSpotError as error:
                log.warning(
                    "conversion failed", code=error.code.value, reason=str(error)
                )
                raise
            except asyncio.CancelledError:
                log.warning("conversion cancelled")
                raise

    async def _converted(self, invocation: Invocation) -> Completed:
        places, digest = places_of(invocation, self._settings), invocation.digest
        found = await asyncio.to_thread(self._results.find, places.target, digest)
        if found is not None:
            log.info("converted already")
            return found
        async with self._admitted():
            self._flights[places.target, digest].has_begun = True
            log.info("converting")
            completed = await self._worker.convert(invocation, places)
            self._results.note(places.target, Made(digest, completed))
            log.info("converted", frames=completed.frames, seconds=completed.seconds)
            return completed

    @asynccontextmanager
    async def _admitted(self) -> AsyncIterator[None]:
        """Wait for this one's turn; BUSY where too many do already."""
        if self._inside > self._settings.inference_queue:
            waiting = self._inside - 1
            message = f"A conversion runs and {waiting} wait: ask again later."
            raise StereoSpotError(ErrorCode.BUSY, message)
        if self._inside > 0:
            log.info("waiting")
        self._inside += 1
        self._count()
        try:
            async with self._turn:
                yield
        finally:
            self._inside -= 1
            self._count()

    def _count(self) -> None:
        waiting = max(0, self._inside - 1)
        self._metrics.count(running=self._inside > 0, waiting=waiting)


class _Flight:
    """A conversion on its way, and how many wait for it."""

    def __init__(self, task: asyncio.Task[Completed]) -> None:
        self.task = task
        self.has_begun = False
        self._callers = 0
        self._cancelling: asyncio.TimerHandle | None = None

    def join(self) -> None:
        self._callers += 1
        if self._cancelling is not None:
            self._cancelling.cancel()
            self._cancelling = None

    def leave(self, *, after: float) -> None:
        self._callers -= 1
        if self._callers == 0 and not self.task.done():
            loop = asyncio.get_running_loop()
            self._cancelling = loop.call_later(after, self._cancel)

    def land(self) -> None:
        if self._cancelling is not None:
            self._cancelling.cancel()

    def _cancel(self) -> None:
        log.warning("nobody waits for a conversion any more")
        self.task.cancel()


def stopping() -> StereoSpotError:
    message = "The inference server is about to stop: ask again, here or elsewhere."
    return StereoSpotError(ErrorCode.STOPPING, message)
