"""How the server starts, outlives its child, and stops."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.inference.service.serving import body, serving


@pytest.fixture
def server(root):
    with serving(inference_file_root=root) as server:
        yield server


def test_a_child_that_is_killed_is_an_answer_and_the_next_one_converts(
    server, long, short, target
):
    running = server.begin(body(long, target))
    waiting = server.ask(body(short, target.with_name("waiting.mp4")))
    server.wait_for("waiting")
    server.kill_child()
    died = running.result()

    assert died.status_code == 503
    assert died.json()["code"] == "crashed"
    assert "ran out of memory" in died.json()["message"]
    assert waiting.result().status_code == 200
    assert "stereospot_crashes_total 1.0" in server.http.get("/metrics").text
    assert [path.name for path in target.parent.iterdir()] == ["waiting.mp4"]


def test_a_child_that_dies_again_and_again_turns_ping_red_until_one_lives(
    server, short, target
):
    for deaths in (1, 2):
        server.wait_for("ready", deaths)
        server.kill_child()
    server.wait_for("child died", 2)

    red = server.until(lambda answer: "crashed" in answer.text)
    refused = server.post(body(short, target))
    server.until(lambda answer: answer.status_code == 200)

    assert red.status_code == 503
    # Whoever comes then has crashed nothing, and only has to come again.
    assert refused.status_code == 429
    assert refused.json()["code"] == "busy"
    assert server.post(body(short, target)).status_code == 200


def test_ping_is_red_with_the_reason_while_an_engine_cannot_be_loaded(
    root, short, target, tmp_path
):
    wanted = {"inference_engines": "preview, fast", "stereospot_weights": tmp_path}
    with serving(ready=False, inference_file_root=root, **wanted) as server:
        loading = server.until(lambda answer: True)
        red = server.until(lambda answer: "weights-corrupt" in answer.text)
        refused = server.post(body(short, target))

    assert loading.status_code == red.status_code == 503
    assert str(tmp_path) in red.json()["message"]
    assert refused.json() == red.json()
    assert server.said("engine ready")[0]["engine"] == "preview"


def test_what_cannot_be_finished_in_time_is_cancelled_at_sigterm(root, long, target):
    grace = {"shutdown_grace_seconds": 2}
    with serving(inference_file_root=root, **grace) as server:
        running = server.begin(body(long, target))
        code = server.end()

        assert code == 0
        assert running.result().status_code == 503
        assert running.result().json()["code"] == "stopping"
        assert list(target.parent.glob("*")) == []


def test_at_sigterm_what_can_be_finished_is_and_nothing_else_is_taken(
    server, middling, short, target
):
    running = server.begin(body(middling, target))
    waiting = server.ask(body(short, target.with_name("waiting.mp4")))
    server.wait_for("waiting")
    server.process.terminate()
    server.wait_for("stopping")
    answers = [
        server.http.get("/ping"),
        server.post(body(short, target.with_name("late.mp4"))),
        waiting.result(),
    ]

    assert {answer.status_code for answer in answers} == {503}
    assert {answer.json()["code"] for answer in answers} == {"stopping"}
    assert running.result().status_code == 200
    assert server.process.wait(30) == 0
    assert [path.name for path in target.parent.iterdir()] == [target.name]


def test_the_child_does_not_outlive_a_server_that_was_killed(server, long, target):
    server.begin(body(long, target))
    server.process.kill()
    server.process.wait()

    # The log's pipe is at its end once nobody holds it any more.
    server.close()


def test_a_server_that_may_convert_nothing_says_what_to_set():
    process = subprocess.run(
        [sys.executable, "-m", "inference", "serve"],
        env={"INFERENCE_TOKEN": "open sesame", "PORT": "http"},
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert process.returncode == 1
    assert "PORT" in process.stderr
    assert "sesame" not in process.stderr
    assert "Traceback" not in process.stderr
