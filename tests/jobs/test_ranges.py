from __future__ import annotations

import os
from pathlib import Path

import pytest
from django.http import HttpResponseBase
from django.test import RequestFactory
from hypothesis import given
from hypothesis import strategies as st

from apps.jobs import ranges
from apps.jobs.ranges import ByteRange, Slice, UnsatisfiableError

# The end of a response is the end of a request, upon which Django tidies connections.
pytestmark = pytest.mark.django_db
FILM = bytes(range(256)) * 4


@pytest.fixture(scope="module")
def film(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("films") / "final.mp4"
    path.write_bytes(FILM)
    os.utime(path, (1_700_000_000, 1_700_000_000))
    return path


def ask(path: Path, method: str = "GET", **headers: str) -> HttpResponseBase:
    request = RequestFactory().generic(method, "/", headers=headers)
    return ranges.serve(
        request, path, content_type="video/mp4", disposition='inline; filename="a"'
    )


def body(response: HttpResponseBase) -> bytes:
    content = response.getvalue()
    response.close()
    return content


def test_the_whole_film(film):
    response = ask(film)

    assert response.status_code == 200
    assert body(response) == FILM
    assert response["Content-Length"] == "1024"
    assert response["Accept-Ranges"] == "bytes"
    assert response["Content-Type"] == "video/mp4"
    assert "Content-Range" not in response


def test_head_says_the_length_and_sends_nothing(film):
    response = ask(film, "HEAD", range="bytes=0-9")

    assert response.status_code == 200
    assert response["Content-Length"] == "1024"
    assert body(response) == b""


@given(first=st.integers(0, 1100), last=st.integers(0, 1100))
def test_a_range_is_a_slice(film, first, last):
    response = ask(film, range=f"bytes={first}-{last}")

    if last < first:
        assert (response.status_code, body(response)) == (200, FILM)
    elif first >= len(FILM):
        assert (response.status_code, body(response)) == (416, b"")
        assert response["Content-Range"] == "bytes */1024"
    else:
        expected = FILM[first : last + 1]
        assert (response.status_code, body(response)) == (206, expected)
        stop = first + len(expected) - 1
        assert response["Content-Range"] == f"bytes {first}-{stop}/1024"
        assert response["Content-Length"] == str(len(expected))


@given(first=st.integers(0, 1023))
def test_an_open_range_goes_to_the_end(film, first):
    response = ask(film, range=f"bytes={first}-")

    assert (response.status_code, body(response)) == (206, FILM[first:])


@given(length=st.integers(1, 2000))
def test_a_suffix_is_the_end(film, length):
    response = ask(film, range=f"bytes=-{length}")

    assert (response.status_code, body(response)) == (206, FILM[-length:])


@given(st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=30))
def test_any_nonsense_is_ignored_or_refused(text):
    try:
        wanted = ByteRange.parse(text, 1024)
    except UnsatisfiableError:
        return

    assert wanted is None or 0 <= wanted.start < wanted.stop <= 1024


@pytest.mark.parametrize(
    "header",
    [
        "bytes=0-1,5-6",
        "bytes=-",
        "bytes",
        "items=0-1",
        "bytes=a-b",
        f"bytes={'9' * 5000}-",
    ],
)
def test_what_is_no_single_range_gets_the_whole_film(film, header):
    response = ask(film, range=header)

    assert (response.status_code, body(response)) == (200, FILM)


@pytest.mark.parametrize("header", ["bytes=1024-", "bytes=-0", "bytes=5000-6000"])
def test_a_range_outside_is_refused(film, header):
    assert ask(film, range=header).status_code == 416


def test_an_empty_file_has_no_ranges(tmp_path):
    (tmp_path / "empty").touch()

    assert ask(tmp_path / "empty", range="bytes=0-").status_code == 416


def test_a_download_goes_on_while_the_film_is_the_same(film):
    whole = ask(film)
    body(whole)

    for validator in (whole["ETag"], whole["Last-Modified"]):
        response = ask(film, **{"range": "bytes=1000-", "if-range": validator})
        assert (response.status_code, body(response)) == (206, FILM[1000:])


@pytest.mark.parametrize(
    "validator", ['"another"', 'W/"weak"', "Sat, 01 Jan 2000 00:00:00 GMT", "nonsense"]
)
def test_a_download_starts_again_when_the_film_is_another(film, validator):
    response = ask(film, **{"range": "bytes=1000-", "if-range": validator})

    assert (response.status_code, body(response)) == (200, FILM)


def test_an_unchanged_film_is_not_sent_again(film):
    whole = ask(film)
    body(whole)

    response = ask(film, **{"if-none-match": whole["ETag"]})

    assert (response.status_code, body(response)) == (304, b"")


def test_memory_stays_flat(tmp_path):
    path = tmp_path / "large"
    with path.open("wb") as file:
        file.truncate(5 * ranges.BLOCK + 1)
    blocks = Slice(path.open("rb"), 1, 5 * ranges.BLOCK + 1)

    sizes = [len(block) for block in blocks]
    blocks.close()

    assert sizes == [ranges.BLOCK] * 5


def test_a_player_that_goes_away_leaves_no_file_open(film):
    response = ask(film)
    content = next(iter(response))

    response.close()

    assert content == FILM
    with pytest.raises(ValueError, match="closed"):
        next(iter(response))


def test_a_film_that_is_gone_is_not_found(tmp_path):
    with pytest.raises(FileNotFoundError):
        ask(tmp_path / "gone.mp4")
