"""What `/metrics` says, in the text format of Prometheus."""

from __future__ import annotations

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)

from contract.errors import ErrorCode
from inference.service.messages import Asked, Done, Memory

SECONDS = (1, 2, 5, 10, 20, 60, 120, 300, 600, 1200, 1800, 3600)
"""Upper ends of what conversions are sorted into by their wall time."""


class Metrics:
    """Of one server, since it started."""

    def __init__(self) -> None:
        registry = self._registry = CollectorRegistry()

        def counter(name: str, told: str, *labels: str) -> Counter:
            return Counter(f"stereospot_{name}", told, labels, registry=registry)

        def gauge(name: str, told: str, *labels: str) -> Gauge:
            return Gauge(f"stereospot_{name}", told, labels, registry=registry)

        told = "Conversions and clips that ended, by the code of their end"
        self._conversions = counter("conversions", told, "engine", "code")
        self._frames = counter("frames", "Frames made", "engine")
        self._pixels = counter("pixels", "Pixels of one eye made", "engine")
        told = "Times that the process that converts died"
        self._crashes = counter("crashes", told)
        told = "Memory of the process that converts"
        self._memory = gauge("memory_bytes", told, "kind")
        self._waiting = gauge("queue_length", "Conversions that wait")
        self._busy = gauge("busy", "1 while a conversion runs")
        self._seconds = Histogram(
            "stereospot_conversion_seconds",
            "Wall time of conversions that succeeded",
            ["engine"],
            buckets=SECONDS,
            registry=registry,
        )

    def completed(self, done: Done, pixels: int) -> None:
        """`pixels` of all frames together, of one eye each."""
        self._conversions.labels(done.maker, done.status).inc()
        self._seconds.labels(done.maker).observe(done.seconds)
        self._frames.labels(done.maker).inc(done.frames)
        self._pixels.labels(done.maker).inc(pixels)

    def failed(self, asked: Asked, code: ErrorCode) -> None:
        """Of one that had begun."""
        self._conversions.labels(asked.maker, code.value).inc()

    def crashed(self) -> None:
        self._crashes.inc()

    def remember(self, memory: Memory) -> None:
        self._memory.labels("resident").set(memory.resident)
        self._memory.labels("cuda").set(memory.cuda)
        self._memory.labels("cuda_peak").set(memory.cuda_peak)

    def count(self, *, running: bool, waiting: int) -> None:
        self._busy.set(running)
        self._waiting.set(waiting)

    def text(self) -> bytes:
        return generate_latest(self._registry)
