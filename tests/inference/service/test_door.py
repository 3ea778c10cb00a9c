"""Pages of the web that a browser on the server's own machine has open."""

from __future__ import annotations

import json

import pytest

from inference.service.door import OWN_NAMES
from tests.inference.service.serving import body, serving


@pytest.fixture(scope="module")
def server(root):
    """Without a token, as on one's own machine."""
    with serving(inference_file_root=root) as server:
        yield server


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"]
)
def test_what_browsers_post_without_asking_converts_nothing(
    server, short, target, kind
):
    refused = server.post(body(short, target), **{"Content-Type": kind})

    assert refused.status_code == 415
    assert refused.json()["code"] == "bad-request"
    assert "application/json" in refused.json()["message"]
    assert not target.exists()


def test_a_body_of_no_kind_is_refused(server, short, target):
    content = json.dumps(body(short, target)).encode()

    assert server.http.post("/invocations", content=content).status_code == 415


def test_json_may_say_how_it_is_written(server, short, target):
    kind = "Application/JSON; charset=utf-8"

    answer = server.post(body(short, target), **{"Content-Type": kind})

    assert answer.status_code == 200


@pytest.mark.parametrize("path", ["/ping", "/metrics", "/invocations"])
def test_a_strangers_name_for_this_machine_opens_nothing(server, path):
    """Its page would be of the same origin, and may send and read all it likes."""
    method = "POST" if path == "/invocations" else "GET"
    for name in ("films.example:8080", "127.0.0.1.films.example", ""):
        refused = server.http.request(method, path, headers={"Host": name})

        assert refused.status_code == 421
        assert refused.json()["code"] == "bad-request"


@pytest.mark.parametrize("name", [*OWN_NAMES, "LOCALHOST:8080"])
def test_its_own_names_do(server, name):
    assert server.http.get("/ping", headers={"Host": name}).status_code == 200


def test_a_page_is_refused_whatever_it_sends(server, short, target):
    origin = {"Origin": "http://localhost:8080"}

    refused = server.post(body(short, target), **origin)

    assert refused.status_code == 403
    assert not target.exists()


@pytest.mark.parametrize(
    "guard", [{"inference_token": "hunter2"}, {"inference_insecure": 1}]
)
def test_where_something_else_says_who_may_call_any_name_will_do(root, guard):
    with serving(inference_file_root=root, **guard) as server:
        named = server.http.get("/ping", headers={"Host": "gpu-box.lan"})
        paged = server.http.get("/ping", headers={"Origin": "https://films.example"})

    assert (named.status_code, paged.status_code) == (200, 403)
