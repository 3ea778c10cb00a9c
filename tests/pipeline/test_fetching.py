"""Films from elsewhere: which addresses are taken, and what comes from them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import boto3
import pytest
from moto import mock_aws
from pydantic import SecretStr

from apps.jobs import storage
from apps.jobs.models import Job
from apps.pipeline.fetching import allowed, web
from apps.pipeline.ingest import ingest
from contract.addresses import is_public
from contract.errors import Blame, ErrorCode, StereoSpotError
from contract.origins import Link
from tests.path.films import small_film
from tests.pipeline.sites import Site, site


class Held:
    """A lease that nobody takes away."""

    def check(self) -> None:
        pass


@pytest.fixture(scope="module")
def film(tmp_path_factory) -> bytes:
    path = small_film(tmp_path_factory.mktemp("film") / "film.mp4", seconds=1)
    return path.read_bytes()


@pytest.fixture
def web_site(settings, film) -> Iterator[Site]:
    """It lies on this machine, and may be asked."""
    settings.INGEST_HOSTS = ["127.0.0.1"]
    settings.INGEST_PRIVATE_ADDRESSES = True
    with site() as here:
        here.films["/Rain.mp4"] = film
        yield here


@pytest.fixture
def job(alice) -> Job:
    return Job(pk=uuid4(), owner=alice, title="From afar", mode="sbs", attempt=1)


def fetched(job: Job, url: str, **link) -> tuple[str, str]:
    job.origin = Link(url=url, **link).model_dump(mode="json")
    return ingest(job, Held())


def failure(job: Job, url: str) -> StereoSpotError:
    with pytest.raises(StereoSpotError) as failed:
        fetched(job, url)
    store = storage.source()
    assert not store.keys(f"input/{job.pk}/")
    return failed.value


# --- Which addresses ---------------------------------------------------------------


def test_nothing_is_fetched_unless_somebody_has_said_from_where():
    assert not allowed.is_on()
    with pytest.raises(StereoSpotError, match="not fetched from the web here"):
        allowed.link_to("https://example.org/film.mp4")
    with pytest.raises(StereoSpotError, match="not fetched from the bucket"):
        allowed.link_to("s3://films/film.mp4")


@pytest.mark.parametrize(
    "url",
    [
        "https://films.example/a.mp4",
        " https://www.films.example/watch?v=1 ",
        "http://FILMS.example.:443/a",
        "s3://drop/films/a b.mp4",
    ],
)
def test_a_site_that_is_listed_is_taken_with_all_that_is_below_it(settings, url):
    settings.INGEST_HOSTS, settings.INGEST_BUCKETS = ["films.example"], ["drop"]

    assert allowed.link_to(url).url == url.strip()


@pytest.mark.parametrize(
    "url",
    [
        "",
        "film.mp4",
        "file:///etc/passwd",
        "ftp://films.example/a.mp4",
        "https:///a.mp4",
        "https://alice:secret@films.example/a.mp4",
        "https://evilfilms.example/a.mp4",
        "https://films.example.evil.org/a.mp4",
        "https://films.example:99999999/a.mp4",
        "https://films.example/a\nb.mp4",
        "https://films.example/" + "a" * 5000,
        "https://[::1/a.mp4",
        "s3://other/a.mp4",
        "s3://drop",
        "s3://drop/folder/",
    ],
)
def test_any_other_address_is_refused_in_words(settings, url):
    settings.INGEST_HOSTS, settings.INGEST_BUCKETS = ["films.example"], ["drop"]

    with pytest.raises(StereoSpotError) as refused:
        allowed.link_to(url)

    assert refused.value.code is ErrorCode.LINK_REFUSED
    assert refused.value.code.blame is Blame.USER
    assert "secret" not in refused.value.message


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "10.1.2.3", "169.254.169.254", "[::1]", "[fd00::1]"]
)
def test_no_address_of_our_own_network_is_taken_even_where_every_site_is(
    settings, host
):
    settings.INGEST_HOSTS = ["*"]

    assert allowed.link_to("https://192.0.2.1.example/a.mp4")
    with pytest.raises(StereoSpotError, match="inside this network"):
        allowed.link_to(f"http://{host}/latest/meta-data/")


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.216.34", True),
        ("2606:4700::1111", True),
        ("127.0.0.1", False),
        ("0.0.0.0", False),
        ("100.64.0.1", False),
        ("::ffff:10.0.0.1", False),
        ("64:ff9b::7f00:1", False),
        ("fe80::1%eth0", False),
        ("224.0.0.1", False),
    ],
)
def test_an_address_is_public_or_it_is_not(address, public):
    assert is_public(address) is public


# --- What comes from the web -------------------------------------------------------


def test_a_film_from_the_web_lies_in_the_store_to_the_last_byte(web_site, job, film):
    extension, title = fetched(job, f"{web_site.url}/Rain.mp4?key=secret")

    assert (extension, title) == ("mp4", "Rain")
    with storage.source().local(f"input/{job.pk}/source.mp4") as path:
        assert path.read_bytes() == film


def test_a_title_that_a_person_gave_stays(web_site, job):
    assert fetched(job, f"{web_site.url}/Rain.mp4", is_titled=True)[1] == "From afar"


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("Rain\0 and\nsnow\x1b[1m", "Rain and snow [1m"),
        ("\0", "From afar"),
        ("x" * 900, "x" * 200),
    ],
)
def test_whatever_a_site_calls_a_film_is_a_title_that_can_be_kept(
    job, tmp_path, settings, monkeypatch, said, kept
):
    settings.INGEST_HOSTS = ["films.example"]
    path = tmp_path / "film.mp4"
    path.write_bytes(b"film")
    found = web.Fetched(path=path, title=said)
    monkeypatch.setattr("apps.pipeline.ingest.Sandbox.call", lambda *_: found)

    _, title = fetched(job, "https://films.example/1")

    assert title == kept
    job.title = title
    job.save()


def test_a_film_that_has_moved_is_followed(web_site, job):
    web_site.moved["/old.mp4"] = "/Rain.mp4"

    assert fetched(job, f"{web_site.url}/old.mp4")[0] == "mp4"


def test_cookies_are_shown_to_the_site_they_are_for(web_site, job, settings):
    line = "127.0.0.1\tFALSE\t/\tFALSE\t2000000000\tsession\tours"
    settings.INGEST_COOKIES = SecretStr(f"# Netscape HTTP Cookie File\n{line}\n")

    fetched(job, f"{web_site.url}/Rain.mp4")

    assert set(web_site.cookies) == {"session=ours"}
    assert not list(settings.TEMPORARY_DIR.rglob("cookies"))


@pytest.mark.parametrize("status", [403, 404])
def test_what_a_site_does_not_give_is_the_persons_to_bring(web_site, job, status):
    web_site.statuses["/Rain.mp4"] = status

    failed = failure(job, f"{web_site.url}/Rain.mp4?key=secret")

    assert failed.code is ErrorCode.LINK_REFUSED
    assert str(status) in failed.message
    assert "secret" not in failed.message


@pytest.mark.parametrize("status", [429, 503])
def test_a_site_that_cannot_just_now_is_asked_again_later(web_site, job, status):
    web_site.statuses["/Rain.mp4"] = status

    failed = failure(job, f"{web_site.url}/Rain.mp4")

    assert failed.code is ErrorCode.LINK_UNREACHABLE
    assert failed.code.blame is Blame.TRANSIENT


def test_a_site_that_says_nothing_is_asked_again_later(web_site, job):
    web_site.silent.add("/Rain.mp4")

    assert failure(job, f"{web_site.url}/Rain.mp4").code is ErrorCode.LINK_UNREACHABLE


def test_a_film_that_is_too_large_is_not_kept(web_site, job, settings, film):
    settings.MAX_SOURCE_BYTES = len(film) // 2

    assert failure(job, f"{web_site.url}/Rain.mp4").code is ErrorCode.TOO_LARGE


def test_a_page_without_a_film_is_refused(web_site, job):
    web_site.films["/page"] = b"<html><body>no film</body></html>"

    failed = failure(job, f"{web_site.url}/page")

    assert failed.code is ErrorCode.LINK_REFUSED
    assert "127.0.0.1" not in failed.message


def test_nothing_leads_into_our_network_where_the_name_is_a_strangers(
    web_site, job, settings
):
    """`localhost` stands for any name that a name server leads here."""
    settings.INGEST_HOSTS = ["*"]
    settings.INGEST_PRIVATE_ADDRESSES = False
    port = web_site.url.rpartition(":")[2]

    failed = failure(job, f"http://localhost:{port}/Rain.mp4")

    assert failed.code is ErrorCode.LINK_REFUSED
    assert "into this network" in failed.message
    assert web_site.asked == []


def test_what_is_allowed_is_asked_again_when_it_is_fetched(web_site, job, settings):
    settings.INGEST_HOSTS = []

    assert failure(job, f"{web_site.url}/Rain.mp4").code is ErrorCode.LINK_REFUSED
    assert web_site.asked == []


@pytest.mark.parametrize(
    ("found", "code"),
    [
        ({"_type": "playlist", "entries": []}, ErrorCode.LINK_REFUSED),
        ({"is_live": True}, ErrorCode.LINK_REFUSED),
        ({"live_status": "is_upcoming"}, ErrorCode.LINK_REFUSED),
        ({"duration": 3601}, ErrorCode.TOO_LARGE),
        (
            {"requested_formats": [{"filesize": 6}, {"filesize": 5}]},
            ErrorCode.TOO_LARGE,
        ),
        ({"filesize_approx": 11}, ErrorCode.TOO_LARGE),
    ],
)
def test_what_a_site_says_of_a_film_is_heard_before_it_is_fetched(
    tmp_path, found, code
):
    errand = web.Errand(
        url="https://films.example/1",
        folder=tmp_path,
        most_bytes=10,
        most_seconds=3600,
        most_rows=1080,
        ffmpeg=Path("ffmpeg"),
    )

    with pytest.raises(StereoSpotError) as refused:
        web._check(found, errand)

    assert refused.value.code is code
    web._check({"duration": 3600, "filesize": 10}, errand)


# --- What comes from buckets -------------------------------------------------------


@pytest.fixture
def drop(settings, monkeypatch) -> Iterator[str]:
    settings.INGEST_BUCKETS = ["drop"]
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    with mock_aws():
        client = boto3.client("s3", region_name="us-east-1")
        client.create_bucket(Bucket="drop")
        client.put_object(Bucket="drop", Key="in/A walk – 東京.MKV", Body=b"a film")
        yield "drop"


def test_a_film_from_a_bucket_lies_in_the_store(drop, job):
    assert fetched(job, "s3://drop/in/A walk – 東京.MKV") == ("mkv", "A walk – 東京")
    with storage.source().local(f"input/{job.pk}/source.mkv") as path:
        assert path.read_bytes() == b"a film"


def test_an_object_that_is_not_there_is_the_persons_mistake(drop, job):
    assert failure(job, "s3://drop/in/none.mp4").code is ErrorCode.LINK_REFUSED


def test_an_object_that_is_too_large_is_not_copied(drop, job, settings):
    settings.MAX_SOURCE_BYTES = 3

    assert failure(job, "s3://drop/in/A walk – 東京.MKV").code is ErrorCode.TOO_LARGE
