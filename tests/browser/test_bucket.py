"""Films in a bucket: another origin, which lets the page see them, or does not."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import boto3
import numpy as np
import pytest
from moto.server import DomainDispatcherApplication, create_backend_app
from playwright.sync_api import expect
from werkzeug.serving import make_server

from tests.browser.finals import BLUE, RED, completed
from tests.browser.pictures import STILL, assert_eye, opened, seek, seen
from tests.browser.site import Site
from tests.browser.site import opened as opened_site

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


@dataclass
class Store:
    """moto's S3, with a CORS rule or without one."""

    application: Application
    has_rule: bool = True
    url: str = ""

    def __call__(
        self, environ: dict[str, Any], start: Callable[..., Any]
    ) -> Iterable[bytes]:
        def answer(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
            # moto allows everything; what a rule would allow comes from here.
            headers = [h for h in headers if not h[0].startswith("Access-Control")]
            origin = environ.get("HTTP_ORIGIN")
            if self.has_rule and origin:
                headers.append(("Access-Control-Allow-Origin", origin))
            return start(status, headers, *rest)

        return self.application(environ, answer)


@pytest.fixture(scope="module")
def store() -> Iterator[Store]:
    store = Store(DomainDispatcherApplication(create_backend_app))
    server = make_server("127.0.0.1", 0, store, threaded=True)
    store.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    s3 = boto3.client(
        "s3",
        endpoint_url=store.url,
        region_name="us-east-1",
        aws_access_key_id="somebody",
        aws_secret_access_key="secret",
    )
    for bucket in ("sources", "results"):
        s3.create_bucket(Bucket=bucket)
    yield store
    server.shutdown()
    thread.join()


@pytest.fixture(scope="module")
def bucket_site(chromium: str, store: Store) -> Iterator[Site]:
    with opened_site(
        SOURCE_BUCKET="sources",
        RESULT_BUCKET="results",
        AWS_ENDPOINT_URL_S3=store.url,
        AWS_ACCESS_KEY_ID="somebody",
        AWS_SECRET_ACCESS_KEY="secret",
    ) as site:
        yield site


@pytest.fixture(scope="module")
def film(bucket_site: Site, tmp_path_factory: pytest.TempPathFactory) -> str:
    folder: Path = tmp_path_factory.mktemp("film")
    return completed(bucket_site, folder)


@pytest.fixture
def page(visit, watch, bucket_site, store):
    watch.allow_origin(store.url)
    return visit("alice", at=bucket_site)


def test_with_the_rule_the_film_is_drawn_and_compared(page, film, store):
    store.has_rule = True
    opened(page, film, "side")

    left, right = np.array_split(seen(page), 2, axis=1)
    assert_eye(left, RED)
    assert_eye(right, BLUE)

    page.get_by_label("Compare with the source").check()
    page.locator("video.source").wait_for()
    seek(page, STILL)


def test_without_it_the_plain_player_plays_and_the_page_says_why(
    page, film, store, watch
):
    watch.allow("CORS|ERR_FAILED")
    store.has_rule = False
    page.goto(film)

    expect(page.get_by_role("status")).to_contain_text("must add its CORS rule")
    expect(page.locator("canvas")).to_have_count(0)
    video = page.locator("video[controls]")
    video.evaluate("async (film) => { film.muted = true; await film.play(); }")
    page.wait_for_function("() => document.querySelector('video').currentTime > 0.2")


def test_a_player_follows_a_playlist_into_the_bucket(page, film, bucket_site):
    playlist = page.request.get(f"{bucket_site.url}{film}playlist.m3u").text()

    link = playlist.splitlines()[-1]
    with urlopen(link, timeout=30) as answer:
        assert answer.headers["Content-Type"] == "video/mp4"
        assert "Rain_3D_LRF_Full_SBS.mp4" in answer.headers["Content-Disposition"]
        assert answer.read(12)[4:8] == b"ftyp"
