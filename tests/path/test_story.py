"""Story IV's messages through a whole stack: a clip in the producer's bucket, its status in
the producer's table; and every bad message that we know of, as the documentation tells."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import count
from typing import Any

import av
import pytest

from inference.weights import FOLDER
from tests.inference.generate.tiny import save_networks
from tests.path.doorstep import TOPIC, Doorstep, opened
from tests.path.stack import ROOT

BUCKET, TABLE = "stories", "story-video-tasks"
SMALL = {"width": 300, "height": "256", "seconds": 1, "steps": 2}


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Doorstep]:
    weights = tmp_path_factory.mktemp("weights")
    save_networks(weights)
    environment = {
        FOLDER: str(weights),
        "INFERENCE_DEVICE": "cpu",
        "STORY_BUCKET": BUCKET,
        "STORY_TABLE": TABLE,
    }
    with opened("video-jobs", **environment) as door:
        door.client("s3").create_bucket(Bucket=BUCKET)
        keys = {"id": "HASH", "task_id": "RANGE"}
        door.client("dynamodb").create_table(
            TableName=TABLE,
            BillingMode="PAY_PER_REQUEST",
            KeySchema=[{"AttributeName": n, "KeyType": k} for n, k in keys.items()],
            AttributeDefinitions=[
                {"AttributeName": name, "AttributeType": "S"} for name in keys
            ],
        )
        yield door


def mirrored(door: Doorstep, task_id: str) -> dict[str, Any]:
    key = {"id": {"S": "story"}, "task_id": {"S": task_id}}
    found = door.client("dynamodb").get_item(TableName=TABLE, Key=key).get("Item", {})
    return {name: next(iter(value.values())) for name, value in found.items()}


def test_a_published_message_becomes_a_clip_in_the_producers_bucket(door, tmp_path):
    message = message_of("ball", **SMALL, seed=7)
    for _ in range(2):  # SNS and SQS deliver at least once
        door.client("sns").publish(
            TopicArn=TOPIC,
            Message=message,
            MessageAttributes={
                "TASK_TYPE": {"DataType": "String", "StringValue": "VIDEO"}
            },
        )
    door.site.machine.wait_for(
        "SELECT status IN ('COMPLETED', 'FAILED') AND due_at IS NULL "
        "FROM jobs_videotask WHERE task_id = 'ball'"
    )

    path = tmp_path / "clip.mp4"
    row = mirrored(door, "ball")
    assert row["status"] == "COMPLETED", door.site.machine.logs()
    assert row["media_url"] == f"s3://{BUCKET}/story/ball.mp4"
    door.client("s3").download_file(BUCKET, "story/ball.mp4", str(path))
    with av.open(str(path)) as container:
        video = container.streams.video[0]
        assert (video.width, video.height) == (288, 256)
        assert sum(1 for _ in container.decode(video)) == 25
    generated = "jobs_event WHERE kind = 'generated'"
    assert door.count(generated) == 1


# --- Bad messages ------------------------------------------------------------------

_number = count()


def message_of(task_id: str = "", **fields: object) -> str:
    """With ids, and a prompt unless `fields` say otherwise."""
    ids = {"parent_id": "story", "task_id": task_id or f"bad-{next(_number)}"}
    told = ids | {"prompt": "a red ball rolls"} | fields
    return json.dumps({name: each for name, each in told.items() if each is not ...})


def by_sns(message: str, topic: str = TOPIC) -> str:
    envelope = {"Type": "Notification", "MessageId": "1", "TopicArn": topic}
    return json.dumps(envelope | {"Message": message})


SENT = {
    "no JSON": "a red ball",
    "300 KiB": message_of(more="x" * 300 * 1024),
    "three envelopes": by_sns(by_sns(by_sns(message_of()))),
    "an envelope of another topic": by_sns(message_of(), topic=f"{TOPIC}-too"),
    "no `task_id`": message_of(task_id=...),
    "an id with `../`": message_of(task_id="../../jobs/final"),
    "an id that is a number": message_of(parent_id=12312312),
    "an id of 129 characters": message_of("x" * 129),
    "no `prompt`": message_of(prompt=...),
    "the same in two envelopes": by_sns(by_sns(message_of(prompt=...))),
    "a prompt of blanks": message_of(prompt="  "),
    "a prompt of 2001 characters": message_of(prompt="x" * 2001),
    "a prompt with a NUL": message_of(prompt="a\0b"),
    "a prompt with half a character": message_of(prompt="\ud800"),
    '`"steps": "many"`': message_of(steps="many"),
    '`"steps": true`': message_of(steps=True),
    '`"steps": 15.5`': message_of(steps=15.5),
    '`"seed": null`': message_of(seed=None),
    '`"guidance": NaN`': message_of(guidance=float("nan")),
    '`"width": 4096`': message_of(width=4096),
    '`"height": "0"`': message_of(height="0"),
    '`"num_videos": 3`': message_of(num_videos=3),
    '`"seconds": 60`': message_of(seconds=60),
    '`"fps": 30`': message_of(fps=30),
    "all of it wrong": message_of(prompt=5, steps=[], fps={}),
}


def tried() -> dict[str, str]:
    """What the documentation says becomes of each message."""
    text = (ROOT / "docs/operations/messages.md").read_text()
    table = text.split("## Tried with Story IV\n")[1].split("\n## ")[0]
    return dict(re.findall(r"^\| (.+?) \| (.+?) \|$", table, re.MULTILINE)[1:])


def test_every_message_becomes_what_the_table_says(door):
    jobs, tasks = door.count("jobs_job"), door.count("jobs_videotask")
    for body in SENT.values():
        door.send(body)
    door.settle()

    dead = dict(door.dead_letters())
    failed = dict(
        door.site.machine.query(
            "SELECT task_id, reason FROM jobs_videotask WHERE status = 'FAILED'"
        )
    )
    became = {}
    for name, body in SENT.items():
        if body in dead:
            became[name] = f"dead letter: `{dead[body]}`"
        else:
            [task_id] = re.findall(r'task_id\W+"([\w-]+)', body)
            became[name] = f"failed task: `{failed[task_id]}`"
    assert became == tried()
    assert door.count("jobs_videotask") - tasks == len(SENT) - len(dead)
    assert door.count("jobs_job") == jobs
    task_id, reason = next(iter(failed.items()))
    door.site.machine.wait_for(
        f"SELECT due_at IS NULL FROM jobs_videotask WHERE task_id = '{task_id}'"
    )
    assert mirrored(door, str(task_id))["error"] == reason
