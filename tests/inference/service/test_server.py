from __future__ import annotations

import subprocess
import sys
import time

import httpx2
import pytest

from tests.inference.films import shown
from tests.inference.service.serving import body, serving

TOKEN = "open sesame"


@pytest.fixture(scope="module")
def server(root, tmp_path_factory):
    nothing = {"stereospot_weights": tmp_path_factory.mktemp("weights")}
    with serving(inference_file_root=root, **nothing) as server:
        yield server


@pytest.fixture(scope="module")
def guarded(root):
    with serving(inference_file_root=root, inference_token=TOKEN) as server:
        yield server


def test_a_plain_body_of_three_fields_converts_a_film(server, short, target):
    answer = server.post(
        {
            "s3_input_uri": short.as_uri(),
            "s3_output_uri": target.as_uri(),
            "mode": "anaglyph",
        }
    )

    assert answer.status_code == 200, answer.text
    assert answer.json()["status"] == "ok"
    assert answer.json()["frames"] == 12
    assert answer.json()["engine"] == "preview"
    assert shown(target) == shown(short)
    assert [path.name for path in target.parent.iterdir()] == ["stereo.mp4"]


def test_ping_and_metrics_answer_while_a_conversion_runs(
    server, long, target, record_property
):
    starts = len(server.said("ready"))
    running = server.begin(body(long, target))
    latencies = []
    for _ in range(20):
        began = time.perf_counter()
        answer = server.http.get("/ping")
        latencies.append((time.perf_counter() - began) * 1000)
        assert answer.status_code == 200
    record_property("ping_ms", [round(latency, 1) for latency in sorted(latencies)])
    print("ping, ms:", [round(latency, 1) for latency in sorted(latencies)])

    assert "stereospot_busy 1.0" in server.http.get("/metrics").text
    assert not running.done()
    server.kill_child()
    running.result()
    server.wait_for("ready", starts + 1)


def test_metrics_count_what_was_made(server, short, target):
    def pixels():
        lines = server.http.get("/metrics").text.splitlines()
        name = 'stereospot_pixels_total{engine="preview"} '
        return next(
            (float(line.removeprefix(name)) for line in lines if line.startswith(name)),
            0,
        )

    before = pixels()
    server.post(body(short, target))

    assert pixels() - before == 12 * 64 * 48
    told = server.http.get("/metrics").text
    assert 'stereospot_conversions_total{code="ok",engine="preview"}' in told
    assert 'stereospot_memory_bytes{kind="resident"}' in told


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (b"{", "no JSON"),
        (b"[" * 100_000, "no JSON"),
        (b"[]", "must be a JSON object"),
        ({"mode": "sbs"}, "input_uri"),
        ({"mode": "smell"}, "mode"),
        ({"colour": "red"}, "colour: Extra inputs are not permitted"),
        ({"frames": {"time_base": [1, 25], "start": 0, "pts": [1]}}, "pts must rise"),
        ({"depth_uri": "file:///depth.mp4"}, "come together"),
        ({"input_uri": "https://films.example/film.mp4"}, "no URI of the kind"),
        ({"input_uri": "film.mp4"}, "no URI of the kind"),
        (b" " * (9 * 2**20), "larger than"),
    ],
    ids=lambda wrong: str(wrong)[:30],
)
def test_a_body_that_cannot_be_used_is_refused_in_a_sentence(
    server, short, target, wrong, told
):
    if isinstance(wrong, dict) and wrong != {"mode": "sbs"}:
        wrong = body(short, target) | wrong

    answer = server.post(wrong)

    assert answer.status_code == 422
    assert answer.json()["code"] == "bad-request"
    assert told in answer.json()["message"]
    assert "\n" not in answer.json()["message"]


def test_an_object_that_is_missing_is_named(server, root, target):
    answer = server.post(body(root / "nothing.mp4", target))

    assert answer.status_code == 500
    assert answer.json()["code"] == "object-missing"
    assert "nothing.mp4" in answer.json()["message"]


def test_what_is_no_film_is_an_answer(server, root, target):
    (root / "noise.mp4").write_bytes(b"noise" * 1000)

    answer = server.post(body(root / "noise.mp4", target))

    assert answer.json()["code"] == "unreadable-segment"
    assert not target.exists()


def test_what_nobody_expected_is_an_answer_and_the_next_child_begins_afresh(
    server, short, target
):
    starts, failures = len(server.said("ready")), len(server.said("not expected"))
    picture = {"eye_width": 64, "eye_height": 48, "preset": "unheard"}

    answer = server.post(body(short, target, picture=picture))
    next_one = server.post(body(short, target))

    assert answer.status_code == 500
    assert answer.json()["code"] == "internal"
    assert "Traceback" in server.wait_for("not expected", failures + 1)["exception"]
    assert next_one.status_code == 200
    server.wait_for("ready", starts + 1)


def test_an_engine_that_cannot_be_loaded_is_only_its_callers_trouble(
    server, short, target
):
    refused = server.post(body(short, target, engine="fast"))

    assert refused.status_code == 500
    assert refused.json()["code"] == "weights-corrupt"
    assert server.http.get("/ping").status_code == 200


def test_only_who_has_the_token_may_convert_and_measure(guarded, short, target):
    asked = body(short, target)
    refused = [
        guarded.post(asked),
        guarded.post(asked, Authorization=f"Bearer {TOKEN}!"),
        guarded.post(asked, Authorization=TOKEN),
        guarded.http.get("/metrics"),
    ]

    assert [answer.status_code for answer in refused] == [401] * 4
    assert {answer.json()["code"] for answer in refused} == {"unauthorized"}
    assert guarded.http.get("/ping").status_code == 200
    assert guarded.post(asked, Authorization=f"Bearer {TOKEN}").status_code == 200
    assert not any(TOKEN in str(event) for event in guarded.events)


def test_a_port_that_is_taken_is_the_end(server, root):
    port = str(httpx2.URL(str(server.http.base_url)).port)
    second = subprocess.run(
        [sys.executable, "-m", "inference", "serve"],
        env={"INFERENCE_FILE_ROOT": str(root), "PORT": port},
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert second.returncode != 0
    assert "ddress already in use" in second.stderr
    assert "Traceback" not in second.stderr


def test_each_line_of_the_log_says_whose_segment_it_is_about(server, root, short):
    job = "0c1b0f4e-8a53-4b3e-9a5b-5f6f0c0b7a11"
    target = root / "jobs" / job / "segments" / "7.mp4"

    times = len(server.said("converted")) + 1
    server.post(body(short, target, attempt=2))

    line = server.wait_for("converted", times)
    assert (line["job_id"], line["segment_index"], line["attempt"]) == (job, 7, 2)
