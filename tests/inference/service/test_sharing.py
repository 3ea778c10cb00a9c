"""Callers who want the same, callers who are too many, callers who go away."""

from __future__ import annotations

import json
import socket

import httpx2
import pytest

from tests.inference.service.serving import Serving, body, serving


@pytest.fixture(scope="module")
def only_server(root):
    with serving(inference_file_root=root, inference_queue=1) as server:
        yield server


@pytest.fixture
def server(only_server):
    """Its log begins with the test."""
    only_server.events.clear()
    return only_server


@pytest.fixture
def before(server):
    """Conversions of earlier tests."""
    return server.conversions()


def hung_up(server: Serving, asked: object) -> None:
    """Ask, and close the connection when the conversion runs."""
    times = len(server.said("converting")) + 1
    content = json.dumps(asked).encode()
    port = httpx2.URL(str(server.http.base_url)).port
    with socket.create_connection(("127.0.0.1", port)) as caller:
        head = (
            f"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Length: {len(content)}"
        )
        caller.sendall(f"{head}\r\n\r\n".encode() + content)
        server.wait_for("converting", times)


def test_the_same_invocation_twice_converts_once(server, before, middling, target):
    first = server.begin(body(middling, target, attempt=1))
    second = server.ask(body(middling, target, attempt=2))

    assert first.result().status_code == second.result().status_code == 200
    assert first.result().json() == second.result().json()
    assert server.conversions() == before + 1


def test_what_is_there_already_is_answered_at_once(server, before, short, target):
    first = server.post(body(short, target)).json()
    again = server.post(body(short, target)).json()

    assert again == first
    assert server.conversions() == before + 1


@pytest.mark.parametrize("change", ["another content", "gone"])
def test_what_is_no_longer_there_is_made_again(server, before, short, target, change):
    server.post(body(short, target))
    if change == "gone":
        target.unlink()
    else:
        target.write_bytes(b"a film that somebody broke")

    answer = server.post(body(short, target))

    assert answer.status_code == 200
    assert server.conversions() == before + 2
    assert target.stat().st_size > 1000


def test_another_wish_for_the_same_place_is_another_conversion(
    server, before, short, target
):
    server.post(body(short, target))
    server.post(body(short, target, mode="tab"))

    assert server.conversions() == before + 2


def test_who_finds_the_queue_full_is_told_to_come_back(server, long, short, target):
    running = server.begin(body(long, target))
    waiting = server.ask(body(short, target.with_name("waiting.mp4")))
    server.wait_for("waiting")

    refused = server.post(body(short, target.with_name("refused.mp4")))

    assert refused.status_code == 429
    assert int(refused.headers["Retry-After"]) > 0
    assert refused.json()["code"] == "busy"
    assert "stereospot_queue_length 1.0" in server.http.get("/metrics").text
    assert not running.done()
    server.kill_child()
    assert running.result().json()["code"] == "crashed"
    assert waiting.result().status_code == 200


def test_who_went_away_and_asks_again_gets_the_answer(server, before, middling, target):
    hung_up(server, body(middling, target))
    server.wait_for("a caller is gone")

    answer = server.post(body(middling, target))

    assert answer.status_code == 200
    assert server.conversions() == before + 1


def test_a_conversion_that_nobody_waits_for_is_cancelled(root, long, short, target):
    linger = {"inference_linger_seconds": 0.2}
    with serving(inference_file_root=root, **linger) as server:
        hung_up(server, body(long, target))
        server.wait_for("conversion cancelled")
        next_one = server.post(body(short, target.with_name("next.mp4")))

        assert next_one.status_code == 200
        assert len(server.said("ready")) == 1
        assert [path.name for path in target.parent.iterdir()] == ["next.mp4"]
