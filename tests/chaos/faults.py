"""The harm that is done, dealt like cards: all kinds come before any comes again."""

from __future__ import annotations

import time
from collections.abc import Callable
from random import Random

from tests.chaos.fleet import Fleet
from tests.chaos.orders import Orders
from tests.chaos.points import CHILD, GROUP, POINTS
from tests.faulty_sqs import FaultySqs

MESSAGES = {"double": 0.15, "drop": 0.04, "delay": 0.1, "most_delay": 3}
"""Chances for each message."""
FIRST_DEATHS = {
    "after-finish_chunk": CHILD,
    "during-infer": GROUP,
    "before-send-concat": CHILD,
}
"""Ordered before anything else: every film comes to these points, in any run."""
WARM_UP = 3.0
"""Seconds in which the workers come up."""
AWAY = (0.5, 2.0)
"""Least and most seconds in which SQS is frozen, or out of order."""
_STATUSES = (500, 503, 403, None)
_OPERATIONS = (
    "ReceiveMessage",
    "SendMessage",
    "SendMessageBatch",
    "DeleteMessageBatch",
)


class Faults:
    """Call `tick` every moment; it deals a card when one is due."""

    def __init__(
        self,
        fleet: Fleet,
        sqs: FaultySqs,
        orders: Orders,
        random: Random,
        *,
        pause: tuple[float, float],
        once: bool,
    ) -> None:
        """`pause`: least and most seconds between two cards; `once`: only one round."""
        self._fleet = fleet
        self._sqs = sqs
        self._orders = orders
        self._random = random
        self._pause = pause
        self._due = time.monotonic() + WARM_UP
        self._once = once
        self._points: list[str] = []
        self._cards = self._shuffled_pack()
        self._rounds = 0
        """Of the whole pack, dealt to the end."""
        sqs.chances(**MESSAGES)
        for point, order in FIRST_DEATHS.items():
            orders.give(point, order)

    def tick(self) -> None:
        if time.monotonic() < self._due or not self._cards:
            return
        self._cards.pop()()
        if not self._cards:
            self._rounds += 1
            self._cards = [] if self._once else self._shuffled_pack()
        self._due = time.monotonic() + self._random.uniform(*self._pause)

    @property
    def all_had_their_turn(self) -> bool:
        """Each kind of harm was done, and the first deaths were died."""
        return self._rounds > 0 and not self._orders.waiting() & FIRST_DEATHS.keys()

    def stop(self) -> None:
        """No harm from now on; what is done is done."""
        self._orders.withdraw()
        self._sqs.chances()

    def _shuffled_pack(self) -> list[Callable[[], None]]:
        pack = [
            self._fleet.restart_database,
            lambda: self._fleet.kill("media"),
            lambda: self._fleet.kill("gpu"),
            lambda: self._fleet.kill(self._random.choice(["control", "beat"])),
            lambda: self._orders.give("engine", "fail"),
            lambda: self._orders.give("engine", "slow"),
            self._refuse,
            self._refuse,
            lambda: self._sqs.freeze(self._random.uniform(*AWAY)),
            self._take_the_queue_away,
            *[self._order_a_death] * 6,
        ]
        self._random.shuffle(pack)
        return pack

    def _order_a_death(self) -> None:
        if not self._points:
            self._points = list(POINTS)
            self._random.shuffle(self._points)
        self._orders.give(self._points.pop(), self._random.choice([CHILD, GROUP]))

    def _take_the_queue_away(self) -> None:
        with self._sqs.outage():
            time.sleep(self._random.uniform(*AWAY))

    def _refuse(self) -> None:
        self._sqs.fail(
            self._random.choice(_OPERATIONS),
            times=self._random.randint(1, 8),
            status=self._random.choice(_STATUSES),
        )
