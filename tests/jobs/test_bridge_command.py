"""`manage.py bridge` reads all of its queues, or ends: half a bridge would look well."""

from __future__ import annotations

import signal
from collections.abc import Callable
from io import StringIO
from threading import Event

import pytest
from django.core.management import CommandError, call_command

from apps.jobs.management.commands import bridge
from workers import pulse


@pytest.fixture(autouse=True)
def two_queues(settings, monkeypatch, tmp_path) -> None:
    settings.CELERY_WORKER_PULSE_DIR = tmp_path
    settings.BRIDGE_QUEUE_URLS = {"arrivals": "a", "video-jobs": "v"}
    monkeypatch.setattr(signal, "signal", lambda *_: None)


class Reader:
    """A queue that is read until `stop`, or until it breaks."""

    def __init__(self, beat, breaks: bool) -> None:
        self.beat, self.breaks = beat, breaks

    def run(self, stop: Event) -> None:
        self.beat()
        if self.breaks:
            raise RuntimeError("what nobody had thought of")
        assert stop.wait(30)


@pytest.mark.parametrize("breaks", ["arrivals", "video-jobs"])
def test_a_queue_that_is_not_read_any_more_ends_the_whole(
    monkeypatch, tmp_path, breaks
):
    def reader(name: str, url: str, beat: Callable[[], None]) -> Reader:
        return Reader(beat, name == breaks)

    monkeypatch.setattr(bridge, "_bridge", reader)
    with pytest.raises(CommandError, match="could not be read any more"):
        call_command("bridge", stdout=StringIO())

    assert list(tmp_path.iterdir()) == []


def test_while_it_reads_its_queues_it_is_healthy(monkeypatch, settings, tmp_path):
    seen: list[tuple[list[str], int]] = []

    class Looked(Reader):
        def run(self, stop: Event) -> None:
            self.beat()
            found = [file.name for file in tmp_path.glob("*.pulse")]
            seen.append((found, pulse.main([str(tmp_path)])))
            stop.set()

    monkeypatch.setattr(bridge, "_bridge", lambda name, url, beat: Looked(beat, False))
    settings.BRIDGE_QUEUE_URLS = {"video-jobs": "v"}
    call_command("bridge", stdout=StringIO())

    assert seen == [(["bridge-video-jobs.pulse"], 0)]
    assert pulse.main([str(tmp_path)]) == 1


def test_without_a_queue_it_says_which_could_be_named(settings):
    settings.BRIDGE_QUEUE_URLS = {}

    with pytest.raises(CommandError, match="BRIDGE_QUEUE_URL_VIDEO_JOBS"):
        call_command("bridge")
