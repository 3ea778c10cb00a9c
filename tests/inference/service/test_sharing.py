"""Callers who want the same, callers who are too many, callers who go away."""

from __future__ import annotations

import json
import socket
from pathlib import Path

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
    gone = len(server.said("a caller is gone")) + 1
    content = json.dumps(asked).encode()
    port = httpx2.URL(str(server.http.base_url)).port
    with socket.create_connection(("127.0.0.1", port)) as caller:
        head = (
            "POST /invocations HTTP/1.1\r\nHost: localhost\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(content)}"
        )
        caller.sendall(f"{head}\r\n\r\n".encode() + content)
        server.wait_for("converting", times)
    server.wait_for("a caller is gone", gone)


def about(target: Path, task: str) -> dict[str, str]:
    return {"task": task, "output_uri": target.as_uri()}


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


def test_who_asked_to_be_waited_for_is_until_he_says_otherwise(
    root, long, short, target
):
    linger = {"inference_linger_seconds": 0}
    with serving(inference_file_root=root, **linger) as server:
        hung_up(server, body(long, target, linger_seconds=3600))
        looked = server.post(about(target, "look"))
        assert looked.json() == {"status": "ok", "state": "converting"}
        assert not server.said("conversion cancelled")

        told = server.post(about(target, "cancel"))

        assert told.json() == {"status": "ok", "state": "converting"}
        server.wait_for("conversion cancelled")
        next_one = server.post(body(short, target.with_name("next.mp4")))
        assert next_one.status_code == 200
        assert server.post(about(target, "look")).json()["state"] == "unknown"
        assert [path.name for path in target.parent.iterdir()] == ["next.mp4"]


def test_who_gives_up_takes_nothing_from_another_who_waits_for_the_same(
    server, before, middling, target
):
    waiting = server.begin(body(middling, target))

    server.post(about(target, "cancel"))

    assert waiting.result().status_code == 200
    assert server.conversions() == before + 1


def test_who_waits_for_a_turn_is_told_so(server, long, short, target):
    running = server.begin(body(long, target))
    second = target.with_name("waiting.mp4")
    waiting = server.ask(body(short, second))
    server.wait_for("waiting")

    assert server.post(about(second, "look")).json()["state"] == "waiting"
    server.kill_child()
    running.result()
    assert waiting.result().status_code == 200


def test_whoever_asks_for_what_is_just_being_cancelled_gets_a_conversion(
    root, middling, target
):
    with serving(inference_file_root=root) as server:
        hung_up(server, body(middling, target))
        server.post(about(target, "cancel"))

        answer = server.post(body(middling, target))

        assert answer.status_code == 200, answer.text
        assert len(server.said("conversion cancelled")) == 1
        assert server.conversions() == 1


def test_nothing_is_asked_about_places_that_are_none_of_the_servers(server):
    refused = server.post({"task": "cancel", "output_uri": "file:///etc/passwd"})

    assert refused.json()["code"] == "forbidden-uri"
