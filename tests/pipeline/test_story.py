"""A message of Story IV, from its topic to the clip in the producer's bucket and the status
in its table; on moto's SNS, SQS, S3 and DynamoDB."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config
from django.contrib.auth.models import User
from django.core.files.base import ContentFile
from django.utils.timezone import now
from moto import mock_aws
from structlog.testing import capture_logs

from apps.jobs import ledger, storage
from apps.jobs.models import Job, VideoTask
from apps.pipeline import handover, messages, mirror, retrying, rooms, tasks
from apps.pipeline import sweep as sweeping
from apps.pipeline.doors import story
from contract.errors import ErrorCode, StereoSpotError
from contract.origins import Prompt
from tests.clips import claim, complete
from workers.bridge import Bridge, UnintelligibleError

IDS = {"parent_id": "12312312", "task_id": "12312311"}
MESSAGE = IDS | {"prompt": "a cozy cabin in the forest, golden hour"}
BUCKET, TABLE = "story-video-data", "story-video-tasks"
KEY = {"id": {"S": IDS["parent_id"]}, "task_id": {"S": IDS["task_id"]}}
CLIP = b"a clip"
OURS = StereoSpotError(ErrorCode.MISCONFIGURED, "There are no weights.")


@pytest.fixture(autouse=True)
def sent(monkeypatch) -> list[str]:
    out: list[str] = []
    monkeypatch.setattr(messages, "send_stage", lambda job: out.append(str(job.pk)))
    monkeypatch.setattr(messages, "send_handover", lambda task: out.append(str(task)))
    # A test's transaction is never committed.
    monkeypatch.setattr(story, "after_commit", lambda send, about: send(about))
    return out


class Aws:
    """A pretended one, with what a producer of Story IV has."""

    def __init__(self) -> None:
        self.s3, self.dynamodb, self.sns, self.sqs = (
            boto3.client(name, region_name="us-east-1")
            for name in ("s3", "dynamodb", "sns", "sqs")
        )
        self.s3.create_bucket(Bucket=BUCKET)
        self.make_table()
        self.topic = self.sns.create_topic(Name="story")["TopicArn"]

    def make_table(self) -> None:
        names = {"id": "HASH", "task_id": "RANGE"}
        self.dynamodb.create_table(
            TableName=TABLE,
            BillingMode="PAY_PER_REQUEST",
            KeySchema=[{"AttributeName": n, "KeyType": k} for n, k in names.items()],
            AttributeDefinitions=[
                {"AttributeName": n, "AttributeType": "S"}
                for n in (*names, "sparse_gsi_hash_key")
            ],
            GlobalSecondaryIndexes=[
                {
                    "IndexName": "pending",
                    "KeySchema": [
                        {"AttributeName": "sparse_gsi_hash_key", "KeyType": "HASH"}
                    ],
                    "Projection": {"ProjectionType": "ALL"},
                }
            ],
        )

    def row(self) -> dict[str, Any]:
        """What the table says of the task, without DynamoDB's types."""
        found = self.dynamodb.get_item(TableName=TABLE, Key=KEY).get("Item", {})
        return {name: next(iter(value.values())) for name, value in found.items()}

    def pending(self) -> int:
        """Tasks that the story still waits for."""
        found = self.dynamodb.query(
            TableName=TABLE,
            IndexName="pending",
            KeyConditionExpression="sparse_gsi_hash_key = :story",
            ExpressionAttributeValues={":story": KEY["id"]},
        )
        return int(found["Count"])

    def clips(self) -> dict[str, bytes]:
        found = self.s3.list_objects_v2(Bucket=BUCKET).get("Contents", [])
        keys = [each["Key"] for each in found]
        return {
            key: self.s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()
            for key in keys
        }


@pytest.fixture
def aws(settings, monkeypatch) -> Iterator[Aws]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    options = {"bucket_name": BUCKET, "region_name": "us-east-1"}
    bucket = {"BACKEND": "apps.jobs.storage.Bucket", "OPTIONS": options}
    options["client_config"] = Config()
    settings.STORAGES = settings.STORAGES | {"story": bucket}
    settings.STORY_TABLE = TABLE
    with mock_aws():
        yield Aws()


def handled(**fields: Any) -> VideoTask:
    story.handle(json.dumps(MESSAGE | fields))
    return VideoTask.objects.get()


def made(task: VideoTask, clip: bytes = CLIP) -> None:
    """Its clips lie where the GPU's side has put them."""
    for each in task.clips.select_related("job"):
        assert each.job is not None
        content = ContentFile(clip + str(each.index).encode())
        storage.result().save(each.job.final_key, content)
        complete(each.job)


def come_due() -> None:
    VideoTask.objects.filter(due_at__isnull=False).update(due_at=now())


# --- The message -----------------------------------------------------------------------


@pytest.mark.parametrize("envelopes", [0, 1, 2])
def test_a_message_becomes_a_task_and_a_job_that_makes_a_clip(db, envelopes):
    body = json.dumps(MESSAGE | {"seed": "1234", "steps": 20, "guidance": "6.5"})
    for _ in range(envelopes):
        body = json.dumps({"Type": "Notification", "Message": body})
    story.handle(body)

    task, job = VideoTask.objects.get(), Job.objects.get()
    prompt = job.get_origin()
    assert isinstance(prompt, Prompt)
    assert (prompt.seed, prompt.wish.steps, prompt.wish.guidance) == (1234, 20, 6.5)
    assert (prompt.width, prompt.height, prompt.frames) == (1280, 704, 121)
    assert (task.width, task.height, task.seed) == (1280, 704, 1234)
    assert (task.get_request().width, task.get_request().height) == (1280, 720)
    assert (job.mode, job.status, job.title) == ("flat", "ingesting", MESSAGE["prompt"])


def test_a_seed_that_was_not_asked_for_is_drawn_and_kept(db):
    task = handled()

    assert task.seed == Job.objects.get().get_origin().seed
    assert task.get_request().seed is None


def test_two_clips_are_two_jobs_of_one_task(db, sent):
    task = handled(num_videos=2, seed=7)
    jobs = [clip.job for clip in task.clips.select_related("job")]

    assert [job.get_origin().seed for job in jobs] == [7, 8]
    assert sent == [str(job.pk) for job in jobs]


def test_the_same_message_again_changes_nothing(db, sent):
    handled()
    for _ in range(2):
        handled(prompt="another", steps=3)

    assert VideoTask.objects.get().prompt == MESSAGE["prompt"]
    assert sent == [str(Job.objects.get().pk)]


def test_the_jobs_belong_to_an_account_that_nobody_signs_in_to(db, settings):
    settings.STORY_OWNER = "the-stories"
    handled()

    owner = User.objects.get(username="the-stories")
    assert Job.objects.get().owner == owner
    assert not owner.has_usable_password()
    assert not owner.is_staff


def test_an_account_that_is_there_keeps_its_password(alice, settings):
    settings.STORY_OWNER = "alice"
    alice.set_password("hunter2-hunter2")
    alice.save()
    handled()

    alice.refresh_from_db()
    assert alice.has_usable_password()
    assert Job.objects.get().owner == alice


def test_fields_that_nobody_knows_are_logged_by_name_only(db):
    with capture_logs() as logged:
        handled(voice="low and secret")

    [entry] = [each for each in logged if each["event"] == "fields ignored"]
    assert entry["fields"] == ["voice"]
    assert "secret" not in json.dumps(logged)


BAD = {
    "no JSON": "a cozy cabin",
    "no object": "[]",
    "no ids": json.dumps({"prompt": "a cabin"}),
    "an id that leads elsewhere": json.dumps(MESSAGE | {"task_id": "../other"}),
    "an id that is no text": json.dumps(MESSAGE | {"parent_id": 12312312}),
    "an envelope without a message": json.dumps({"Type": "Notification"}),
    "an envelope of nonsense": json.dumps({"Type": "Notification", "Message": "x"}),
    "too large": json.dumps(MESSAGE | {"more": "x" * 300_000}),
}


@pytest.mark.parametrize("body", BAD.values(), ids=BAD.keys())
def test_of_what_has_no_ids_nobody_can_be_told(db, body):
    with pytest.raises(UnintelligibleError):
        story.handle(body)

    assert not VideoTask.objects.exists()


def test_a_strangers_topic_is_refused(db, settings):
    settings.BRIDGE_TOPICS = ["arn:aws:sns:us-east-1:123456789012:story"]
    body = {"Type": "Notification", "Message": json.dumps(MESSAGE)}

    with pytest.raises(UnintelligibleError, match="no topic of ours"):
        story.handle(json.dumps(body | {"TopicArn": "arn:aws:sns:::other"}))


# --- From the topic to the bucket ---------------------------------------------------------


def test_a_message_goes_from_its_topic_through_the_bridge(db, aws, settings):
    """As IVT publishes it; the queue takes videos only."""
    settings.BRIDGE_TOPICS = [aws.topic]
    url = aws.sqs.create_queue(QueueName="video-jobs")["QueueUrl"]
    aws.sns.subscribe(
        TopicArn=aws.topic,
        Protocol="sqs",
        Endpoint=aws.sqs.get_queue_attributes(
            QueueUrl=url, AttributeNames=["QueueArn"]
        )["Attributes"]["QueueArn"],
        Attributes={"FilterPolicy": json.dumps({"TASK_TYPE": ["VIDEO"]})},
    )
    for kind, task_id in (("TTS", "speech"), ("VIDEO", "video"), ("VIDEO", "video")):
        aws.sns.publish(
            TopicArn=aws.topic,
            Message=json.dumps(MESSAGE | {"task_id": task_id}),
            MessageAttributes={
                "TASK_TYPE": {"DataType": "String", "StringValue": kind}
            },
        )

    assert Bridge(aws.sqs, url, story.handle, wait=0).poll() == 2
    assert [str(task) for task in VideoTask.objects.all()] == ["12312312/video"]


def test_a_wrapped_message_without_a_prompt_ends_as_a_failed_task(db, aws, sent):
    """And does not come back each hour."""
    url = aws.sqs.create_queue(QueueName="video-jobs")["QueueUrl"]
    body = {"Type": "Notification", "Message": json.dumps(IDS | {"steps": "many"})}
    aws.sqs.send_message(QueueUrl=url, MessageBody=json.dumps(body))

    assert Bridge(aws.sqs, url, story.handle, wait=0).poll() == 1
    task = VideoTask.objects.get()
    assert task.status == "FAILED"
    assert task.reason == "prompt: Field required; steps: must be a number"
    assert sent == [str(task)]
    assert handover.hand_over(task.pk)
    assert (aws.row()["status"], aws.row()["error"]) == ("FAILED", task.reason)
    assert not Job.objects.exists()


def test_the_producer_finds_its_clip_before_the_task_is_completed(db, aws):
    task = handled()
    made(task)
    handover.hand_over(task.pk)

    task.refresh_from_db()
    assert aws.clips() == {"12312312/12312311.mp4": CLIP + b"0"}
    assert task.status == "COMPLETED"
    assert task.media_urls == [f"s3://{BUCKET}/12312312/12312311.mp4"]
    head = aws.s3.head_object(Bucket=BUCKET, Key="12312312/12312311.mp4")
    assert head["ContentType"] == "video/mp4"


def test_of_two_clips_the_first_is_the_tasks(db, aws):
    task = handled(num_videos=2)
    made(task)
    handover.hand_over(task.pk)

    assert aws.clips() == {
        "12312312/12312311-0.mp4": CLIP + b"0",
        "12312312/12312311-1.mp4": CLIP + b"1",
    }
    row = aws.row()
    assert row["media_url"] == f"s3://{BUCKET}/12312312/12312311-0.mp4"
    assert [url["S"] for url in row["media_urls"]] == [
        f"s3://{BUCKET}/12312312/12312311-{n}.mp4" for n in (0, 1)
    ]


def test_a_bucket_that_is_away_costs_no_clip(db, aws):
    task = handled()
    made(task)
    aws.s3.delete_bucket(Bucket=BUCKET)
    assert not handover.hand_over(task.pk)
    task.refresh_from_db()
    assert (task.status, "NoSuchBucket" in task.answer) == ("IN_PROGRESS", True)

    aws.s3.create_bucket(Bucket=BUCKET)
    come_due()
    handover.hand_over(task.pk)

    assert aws.clips() == {"12312312/12312311.mp4": CLIP + b"0"}
    assert aws.row()["status"] == "COMPLETED"


def test_who_dies_between_copy_and_record_is_followed_by_another(db, aws, monkeypatch):
    task = handled()
    made(task)

    class Killed(BaseException):
        pass

    def die(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(ledger, "complete_video_task", die)
        with pytest.raises(Killed):
            handover.hand_over(task.pk)
    assert not handover.hand_over(task.pk)  # it may still be alive
    come_due()

    assert handover.hand_over(task.pk)
    assert aws.row()["status"] == "COMPLETED"


# --- The table ----------------------------------------------------------------------------


def test_the_table_follows_the_task_in_the_producers_layout(db, aws):
    aws.dynamodb.put_item(  # as the producer does before it publishes
        TableName=TABLE,
        Item=KEY
        | {
            "type": {"S": "VIDEO"},
            "status": {"S": "PENDING"},
            "source_prompt": {"S": "as the producer spells it"},
            "date_created": {"S": "2025-09-01T10:00:00.000Z"},
            "sparse_gsi_hash_key": KEY["id"],
        },
    )
    task = handled()
    claim(Job.objects.get())
    handover.hand_over(task.pk)
    assert (aws.row()["status"], aws.pending()) == ("IN_PROGRESS", 1)

    ledger.release_stage(Job.objects.get())
    made(task)
    handover.hand_over(task.pk)

    row = aws.row()
    assert row.pop("date_updated").endswith("Z")
    assert row.pop("media_urls")
    assert int(row.pop("revision")) > 1
    assert row == IDS_OF_THE_TABLE | {
        "type": "VIDEO",
        "status": "COMPLETED",
        "source_prompt": "as the producer spells it",
        "date_created": "2025-09-01T10:00:00.000Z",
        "media_url": f"s3://{BUCKET}/12312312/12312311.mp4",
    }
    assert aws.pending() == 0


IDS_OF_THE_TABLE = {"id": IDS["parent_id"], "task_id": IDS["task_id"]}


def test_a_row_that_the_producer_has_not_made_is_made(db, aws):
    task = handled()
    handover.hand_over(task.pk)

    row = aws.row()
    assert (row["status"], row["source_prompt"]) == ("PENDING", MESSAGE["prompt"])
    assert len(row["date_created"]) == len("2026-11-28T15:40:00.123Z")


def test_an_older_status_never_overwrites_a_newer_one(db, aws):
    older = handled()
    made(older)
    handover.hand_over(older.pk)

    assert not mirror.write(older)
    assert (aws.row()["status"], aws.pending()) == ("COMPLETED", 0)


def test_a_table_that_is_away_misses_nothing(db, aws, settings):
    task = handled()
    aws.dynamodb.delete_table(TableName=TABLE)
    made(task)
    assert not handover.hand_over(task.pk)
    task.refresh_from_db()
    # The producer may fetch its clip; only the table is late.
    assert (task.status, aws.clips().keys()) == (
        "COMPLETED",
        {"12312312/12312311.mp4"},
    )
    assert "ResourceNotFound" in task.answer

    aws.make_table()
    come_due()
    assert handover.hand_over(task.pk)
    assert (aws.row()["status"], aws.pending()) == ("COMPLETED", 0)
    task.refresh_from_db()
    assert (task.due_at, task.answer, task.failing_since) == (None, "", None)


def test_a_job_that_somebody_retries_takes_the_reason_back(db, aws):
    task = handled()
    job = Job.objects.get()
    ledger.fail_stage(claim(job), OURS)
    handover.hand_over(task.pk)
    assert (aws.row()["status"], aws.pending()) == ("FAILED", 1)

    assert retrying.retry(job.pk) is not None
    handover.hand_over(task.pk)

    assert aws.row()["status"] == "IN_PROGRESS"
    assert "error" not in aws.row()


def test_without_a_table_nobody_asks_for_one(db, settings):
    task = handled()

    assert handover.hand_over(task.pk)


# --- Asked for again ----------------------------------------------------------------------


def test_the_sweep_asks_for_what_is_due(db, sent, monkeypatch):
    task = handled()
    monkeypatch.setattr(messages, "waiting", lambda queue: 0)
    sent.clear()

    assert sweeping._not_handed_over() == 1
    assert sent == [str(task)]
    ledger.claim_handover(task.pk)
    assert sweeping._not_handed_over() == 0


def test_a_task_that_finds_no_room_comes_again(db, monkeypatch):
    class PutBack(Exception):
        pass

    def retry(*, countdown: int, throw: bool) -> Exception:
        return PutBack(countdown)

    monkeypatch.setattr(tasks.hand_over, "retry", retry)
    task = handled()
    with rooms.HANDING_OVER.place(), pytest.raises(PutBack):
        tasks.hand_over(str(task.pk))
    with rooms.TELLING.place(), rooms.TELLING.place():
        tasks.hand_over(str(task.pk))  # who tells people is not in its way

    task.refresh_from_db()
    assert task.due_at is None
