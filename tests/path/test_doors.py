"""What S3 and SNS deliver, taken to a final film; and every bad message that we know of.

The table of docs/operations/messages.md is the list of tests: each row is really sent.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from urllib.parse import quote_plus
from uuid import uuid4

import pytest

from tests.path.doorstep import TOPIC, Doorstep, opened
from tests.path.films import facts, small_film, with_words
from tests.path.stack import ROOT

_FILMS_AT_ONCE = 10
_UPLOAD = """
from django.contrib.auth.models import User
from apps.jobs.models import Job
owner = User.objects.get(username="sally")
print(Job.objects.create(owner=owner, title="Rain", mode="sbs").source_key)
"""
_BUSY = f"""
from django.contrib.auth.models import User
from apps.jobs.models import Job
bob = User.objects.get(username="bob")
for number in range({_FILMS_AT_ONCE}):
    Job.objects.create(owner=bob, title=f"{{number}}", mode="sbs")
"""
_ASKED = """
from datetime import timedelta
from django.contrib.auth.models import User
from django.utils.timezone import now
from apps.jobs import ledger
from apps.jobs.models import Job, Segment
later = now() + timedelta(hours=1)
job = Job.objects.create(
    owner=User.objects.get(username="alice"), title="Rain", mode="sbs",
    status="chunking_complete", attempt=1, total_segments=1, film={},
    picture={"eye_width": 64, "eye_height": 36}, started_at=now(), notify_at=later,
)
Segment.objects.create(
    job=job, index=0, frame_count=25, notify_at=later,
    frames={"time_base": [1, 25], "start": 0, "pts": list(range(25))},
)
segment = ledger.claim_segment(job.pk, 0)
asked = ledger.open_invocation(
    segment, backend="sagemaker", lasting=timedelta(hours=1)
)
ledger.note_accepted(asked, "s3://results/ok", "s3://results/no", expires_at=later)
ledger.pause_segment(segment, seconds=3600)
print(job.pk)
"""
"""A segment that an endpoint was asked for, an hour before anybody looks at it again."""


@pytest.fixture(scope="module")
def door() -> Iterator[Doorstep]:
    with opened(QUOTA_FILMS_AT_ONCE=str(_FILMS_AT_ONCE)) as door:
        yield door


def test_a_dropped_film_and_a_plain_upload_come_out_in_3d_once(door, tmp_path):
    plain = small_film(tmp_path / "plain.mp4", seconds=1)
    film = with_words(plain, tmp_path / "film.mp4", "Rain again")
    upload = door.site.run(_UPLOAD)
    door.have_s3_tell()
    hers = "FROM jobs_job j JOIN auth_user u ON u.id = owner_id AND username = 'sally'"

    for _ in range(2):  # each time S3 tells of it
        door.put("drop/sally/half_sbs/A walk.mp4", film.read_bytes())
        door.put(upload, film.read_bytes())
    door.site.machine.wait_for(
        f"SELECT count(*) = 2 {hers} AND status = 'completed'", seconds=240
    )
    door.settle()

    made = door.site.machine.query(f"SELECT title, mode, j.id {hers} ORDER BY title")
    assert [row[:2] for row in made] == [("A walk", "half_sbs"), ("Rain", "sbs")]
    said = door.said.read_text().splitlines()
    for (_, mode, job), event in zip(
        made, ("film dropped", "source arrived"), strict=True
    ):
        path = tmp_path / f"{mode}.mp4"
        door.client("s3").download_file("results", f"jobs/{job}/final.mp4", str(path))
        final, source = facts(path), facts(film)
        assert (final.times, final.sound) == (source.times, source.sound)
        assert final.size == ((192, 108) if mode == "half_sbs" else (384, 108))
        words = f"jobs/{job}/subtitles/0.vtt"
        told = door.client("s3").get_object(Bucket="results", Key=words)["Body"].read()
        assert b"00:00:00.000 --> 00:00:01.000\nRain again" in told
        # The bridge began it, no sweep, and it did so once.
        assert sum(event in line and str(job) in line for line in said) == 1
    # Neither S3's test events nor word of the results troubled anybody.
    assert door.dead_letters() == []


# --- Bad messages ------------------------------------------------------------------


def of(key: str, **changed: object) -> dict[str, object]:
    """A record of S3, as it was seen from AWS; the key is spelled as it is given."""
    thing = {"key": key, "size": 4, "eTag": "0" * 32, "sequencer": "0055AED6DCD90281E5"}
    record = {
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "awsRegion": "us-east-1",
        "eventTime": "2026-11-28T12:00:00.000Z",
        "eventName": "ObjectCreated:Put",
        "s3": {"bucket": {"name": "sources"}, "object": thing},
    }
    return record | changed


def event(*records: object) -> str:
    return json.dumps({"Records": records})


def in_bucket(name: str) -> dict[str, object]:
    return of("x", s3={"bucket": {"name": name}, "object": {"key": "x"}})


def by_sns(message: str, topic: str = TOPIC) -> str:
    envelope = {"Type": "Notification", "MessageId": "1", "TopicArn": topic}
    return json.dumps(envelope | {"Message": message})


def by_eventbridge(key: str) -> str:
    detail = {"bucket": {"name": "sources"}, "object": {"key": key}}
    head = {"source": "aws.s3", "detail-type": "Object Created"}
    return json.dumps(head | {"detail": detail})


def of_sagemaker(inference_id: str, status: str = "Failed") -> str:
    return json.dumps(
        {
            "awsRegion": "us-east-1",
            "eventTime": "2026-11-28T12:00:00.000Z",
            "receivedTime": "2026-11-28T11:00:00.000Z",
            "invocationStatus": status,
            "failureReason": "Received server error (500) from primary",
            "requestParameters": {"endpointName": "stereo"},
            "inferenceId": inference_id,
            "eventVersion": "1.0",
            "eventSource": "aws:sagemaker",
            "eventName": "InferenceResult",
        }
    )


def dropped(door: Doorstep, name: str) -> str:
    """An event, and its object in Alice's drop folder."""
    key = f"drop/alice/{name}"
    door.put(key, name.encode())
    return event(of(quote_plus(key)))


def late(door: Doorstep) -> list[str]:
    """What S3 says of an object that has become another one since, again and again."""
    told = dropped(door, "late.mp4")
    earlier = told.replace("0055AED6DCD90281E5", "0000000000000000A1")
    return [told, earlier, told, earlier]


def full(door: Doorstep) -> str:
    door.site.run(_BUSY)
    door.put("drop/bob/film.mp4", b"film")
    return event(of("drop/bob/film.mp4"))


def asked(door: Doorstep) -> str:
    return of_sagemaker(f"{door.site.run(_ASKED)}-0-1")


Message = str | Callable[[Doorstep], "str | list[str]"]
SENT: dict[str, Message] = {
    "no JSON": "drop/alice/film.mp4",
    "JSON, but no object": "[1, 2]",
    "100 000 brackets": "[" * 100_000,
    "JSON of nothing that we know": json.dumps({"hello": "world"}),
    "300 KiB": json.dumps({"Records": [], "more": "x" * 300 * 1024}),
    "records of another service": event(of("x") | {"eventSource": "aws:dynamodb"}),
    "records that are none": event("a", 1),
    "a record without an object": event(
        {k: v for k, v in of("x").items() if k != "s3"}
    ),
    "a record of another bucket": event(in_bucket("elsewhere")),
    "the same, before a record of a film": lambda door: json.dumps(
        {
            "Records": [
                in_bucket("elsewhere"),
                *json.loads(dropped(door, "behind.mp4"))["Records"],
            ]
        }
    ),
    "`s3:TestEvent`": json.dumps({"Service": "Amazon S3", "Event": "s3:TestEvent"}),
    "an object that was removed": event(
        of("drop/alice/film.mp4", eventName="ObjectRemoved:Delete")
    ),
    "a film that is gone again": event(of("drop/alice/gone.mp4")),
    "a film for somebody whom we do not know": event(of("drop/mallory/film.mp4")),
    "a film in a folder of no mode": event(of("drop/alice/3d/film.mp4")),
    "a folder itself": event(of("drop/alice/half_sbs/")),
    "a key with a NUL": event(of("drop/alice/a%00b.mp4")),
    "a key with `..`": event(of("drop/alice/../bob/film.mp4")),
    "an upload's key with `..`": event(of("input/../../etc/passwd")),
    "a key in percent codes that are no UTF-8": event(of("drop/alice/%ff%fe.mp4")),
    "a key with half a character": by_eventbridge("drop/alice/\ud800.mp4"),
    "a source of no job": event(of(f"input/{uuid4()}/source.mp4")),
    "the same event five times": lambda door: [dropped(door, "twice.mp4")] * 5,
    "an older event after a newer one, and both again": late,
    "two envelopes of SNS": by_sns(by_sns(event())),
    "three envelopes": by_sns(by_sns(by_sns(event()))),
    "an envelope with no JSON in it": by_sns("film"),
    "an envelope of another topic": by_sns(event(), topic=f"{TOPIC}-too"),
    "an answer for a job that is gone": of_sagemaker(f"{uuid4()}-0-1", "Completed"),
    "an answer for no invocation of ours": of_sagemaker("../../etc/passwd"),
    "a failure of SageMaker that nobody waits for": asked,
    "a film of who has enough in work": full,
}


def tried() -> dict[str, str]:
    """What the documentation says becomes of each message."""
    text = (ROOT / "docs/operations/messages.md").read_text()
    table = text.split("## Tried\n")[1].split("\n## ")[0]
    return dict(re.findall(r"^\| (.+?) \| (.+?) \|$", table, re.MULTILINE)[1:])


TRIED = tried()


def test_every_message_of_the_table_is_sent():
    assert list(SENT) == list(TRIED)


@pytest.fixture
def quiet(door: Doorstep) -> Doorstep:
    """S3 says nothing itself, so that only the message is heard."""
    for bucket in ("sources", "results"):
        door.client("s3").put_bucket_notification_configuration(
            Bucket=bucket, NotificationConfiguration={}
        )
    door.settle()
    door.dead_letters()
    return door


@pytest.mark.parametrize("name", TRIED)
def test_a_message_becomes_what_the_table_says(quiet, name):
    jobs, held = quiet.count("jobs_job"), quiet.numbers()[2]
    message = SENT[name]
    bodies = message if isinstance(message, str) else message(quiet)
    bodies = [bodies] if isinstance(bodies, str) else bodies
    made = quiet.count("jobs_job") - jobs

    for body in bodies:
        quiet.send(body)
    quiet.settle()

    dead = quiet.dead_letters()
    became = TRIED[name]
    reason = re.search("dead letter: `(.+)`", became)
    assert [body for body, _ in dead] == (bodies if reason else [])
    assert not reason or reason[1] in dead[0][1]
    wanted = made + ("one job" in became)
    assert quiet.count("jobs_job") - jobs == wanted
    assert quiet.numbers()[2] - held == ("put back" in became)
    if "looked at now" in became:
        soon = "notify_at < now() + interval '10 minutes' OR status <> 'pending'"
        quiet.site.machine.wait_for(f"SELECT {soon} FROM jobs_segment ORDER BY id DESC")
