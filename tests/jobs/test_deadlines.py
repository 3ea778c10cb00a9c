"""Who sends slowly keeps no thread: against gunicorn, with a client that drips."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import chain, repeat
from pathlib import Path
from urllib.request import urlopen

import pytest

from stereospot.embedded import free_port

FORM = (
    b"POST /login/ HTTP/1.1\r\nHost: localhost\r\nCookie: csrftoken="
    + b"a" * 32
    + b"\r\n"
    b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 1000\r\n\r\n"
)


@pytest.fixture
def site(tmp_path) -> Iterator[int]:
    """The port of a site with one thread, which gives a form one second."""
    port = free_port()
    threads = ("--worker-class", "gthread", "--workers", "1", "--threads", "1")
    options = (
        "--bind",
        f"127.0.0.1:{port}",
        "--no-control-socket",
        "--log-level=error",
    )
    command = ("-m", "gunicorn", "tests.jobs.slow_site", *threads, *options)
    process = subprocess.Popen(
        (sys.executable, *command),
        cwd=Path(__file__).parents[2],
        env=os.environ | {"STEREOSPOT_DATA_DIR": str(tmp_path)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        until_it_answers(port)
        yield port
    finally:
        process.terminate()
        process.wait(30)


def until_it_answers(port: int) -> None:
    for _ in range(300):
        with contextlib.suppress(OSError):
            assert urlopen(f"http://127.0.0.1:{port}/healthz", timeout=30).status == 200
            return
        time.sleep(0.2)
    raise AssertionError("the site has not come up")


def test_a_form_that_drips_frees_its_thread_for_others(site):
    with socket.create_connection(("127.0.0.1", site)) as slow:
        slow.settimeout(0.3)
        answer = b""
        for piece in chain([FORM], repeat(b"a", 200)):
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                slow.sendall(piece)
            with contextlib.suppress(TimeoutError):
                answer = slow.recv(100)
                break

        assert answer.split(b" ")[1] in (b"403", b"408")
    until_it_answers(site)


def test_a_form_that_comes_in_time_is_read(site):
    with socket.create_connection(("127.0.0.1", site)) as line:
        line.settimeout(60)
        line.sendall(FORM)
        line.sendall(b"a" * 1000)

        assert line.recv(100).split(b" ")[1] == b"403"  # it has no token of ours
