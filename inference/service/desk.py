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
from contract.invocation import Enquiry, Standing, State
from inference.service import logs
from inference.service.messages import Asked, Done
from inference.service.metrics import Metrics
from inference.service.objects import Made, Results
from inference.service.places import Place, Places, places_of, target_of
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
        self._airborne: set[_Flight] = set()
        """Also those that are being cancelled, while another of the same work waits."""
        self._turn = asyncio.Lock()
        self._inside = 0
        """Conversions that run or wait."""
        self.is_closed = False

    @asynccontextmanager
    async def flight(self, asked: Asked) -> AsyncIterator[_Flight]:
        """The conversion that is asked for, running already or begun now.

        It goes on for a while after the last caller has left this context. Its task ends
        with what was made, or with StereoSpotError: BUSY where too many wait, STOPPING when
        the server does, and those of `places_of` and `Worker.make`.
        """
        if self.is_closed:
            raise stopping()
        places = places_of(asked, self._settings)
        work = places.target, asked.digest
        flight = self._flights.get(work)
        if flight is None or flight.is_cancelled:
            flight = self._flights[work] = _Flight()
            self._airborne.add(flight)
            flight.task = asyncio.create_task(self._convert(flight, asked, places))
            flight.task.add_done_callback(partial(self._landed, work, flight))
        linger = asked.linger_seconds
        if linger is None:
            linger = self._settings.inference_linger_seconds
        flight.join(linger)
        try:
            yield flight
        finally:
            flight.leave()

    def _landed(self, work: Work, flight: _Flight, task: asyncio.Task[Done]) -> None:
        flight.land()
        self._airborne.remove(flight)
        if self._flights[work] is flight:
            del self._flights[work]
        if not task.cancelled():
            task.exception()  # seen, though all callers may be gone

    def standing(self, enquiry: Enquiry) -> Standing:
        """How the conversions stand that are asked after; see there."""
        target = target_of(enquiry.output_uri, self._settings)
        flights = [
            flight for work, flight in self._flights.items() if work[0] == target
        ]
        if enquiry.task == "cancel":
            log.info("not wanted any more", output=enquiry.output_uri)
            for flight in flights:
                flight.forsake()
        if not flights:
            return Standing(state=State.UNKNOWN)
        # An engine that is being loaded does not convert yet.
        runs = self._worker.trouble is None and any(f.has_begun for f in flights)
        return Standing(state=State.CONVERTING if runs else State.WAITING)

    async def close(self, seconds: float) -> None:
        """Take nothing more; let what runs end within so long, then cancel it."""
        self.is_closed = True
        flights = list(self._airborne)
        for flight in flights:
            if not flight.has_begun:
                flight.cancel()
        if tasks := [flight.task for flight in flights]:
            await asyncio.wait(tasks, timeout=seconds)
            for flight in flights:
                if not flight.task.done():
                    log.warning("cancelling a conversion: the server has to stop")
                    flight.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _convert(self, flight: _Flight, asked: Asked, places: Places) -> Done:
        with bound_contextvars(**logs.context(asked)):
            try:
                return await self._converted(flight, asked, places)
            except StereoSpotError as error:
                log.warning(
                    "conversion failed", code=error.code.value, reason=str(error)
                )
                raise
            except asyncio.CancelledError:
                log.warning("conversion cancelled")
                raise

    async def _converted(self, flight: _Flight, asked: Asked, places: Places) -> Done:
        digest = asked.digest
        found = await asyncio.to_thread(self._results.find, places.target, digest)
        if found is not None:
            log.info("converted already")
            return found
        async with self._admitted():
            flight.has_begun = True
            log.info("converting")
            done = await self._worker.make(asked, places)
            self._results.note(places.target, Made(digest, done))
            log.info("converted", frames=done.frames, seconds=done.seconds)
            return done

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

    task: asyncio.Task[Done]

    def __init__(self) -> None:
        self.has_begun = False
        self.is_cancelled = False
        self._callers = 0
        self._linger = 0.0
        self._cancelling: asyncio.TimerHandle | None = None

    def join(self, linger: float) -> None:
        """One more waits, who asks for so many seconds in case of being cut off."""
        self._callers += 1
        self._linger = max(self._linger, linger)
        self._keep()

    def leave(self) -> None:
        self._callers -= 1
        self._wait_for_callers()

    def forsake(self) -> None:
        """Who has left will not come back."""
        self._linger = 0.0
        self._wait_for_callers()

    def cancel(self) -> None:
        """At most once: told again, the task would not wait for the child to obey."""
        if not self.is_cancelled:
            self.is_cancelled = True
            self.task.cancel()

    def land(self) -> None:
        self._keep()

    def _wait_for_callers(self) -> None:
        self._keep()
        if self._callers == 0 and not self.task.done():
            loop = asyncio.get_running_loop()
            self._cancelling = loop.call_later(self._linger, self._give_up)

    def _keep(self) -> None:
        if self._cancelling is not None:
            self._cancelling.cancel()
            self._cancelling = None

    def _give_up(self) -> None:
        log.warning("nobody waits for a conversion any more")
        self.cancel()


def stopping() -> StereoSpotError:
    message = "The inference server is about to stop: ask again, here or elsewhere."
    return StereoSpotError(ErrorCode.STOPPING, message)
