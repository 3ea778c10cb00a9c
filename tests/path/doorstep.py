"""An embedded stack whose films lie in buckets, and the bridge that hears of them.

The stack's own moto is SQS, S3 and SNS at once: what it says of an object is delivered as
AWS delivers it, by the same configuration as deploy/terraform/notifications.tf makes, but
that word of sources comes by SNS.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3

from stereospot.embedded import Addresses, free_port
from tests.browser.site import MAKE_PEOPLE, Site
from tests.path.stack import ROOT, Machine

REGION = "us-east-1"
TOPIC = f"arn:aws:sns:{REGION}:123456789012:topic"
_NUMBERS = tuple(
    f"ApproximateNumberOfMessages{kind}" for kind in ("", "NotVisible", "Delayed")
)


@dataclass
class Doorstep:
    site: Site
    endpoint: str
    said: Path
    """What the bridge prints."""
    queue: str
    """Which of those that the bridge reads."""
    url: str = ""
    dead_url: str = ""
    _clients: dict[str, Any] = field(default_factory=dict)

    def client(self, name: str) -> Any:
        if name not in self._clients:
            self._clients[name] = boto3.client(
                name,
                endpoint_url=self.endpoint,
                region_name=REGION,
                aws_access_key_id="somebody",
                aws_secret_access_key="secret",
            )
        return self._clients[name]

    def open(self) -> None:
        """Make buckets, queue, dead-letter queue and topic, and have S3 tell them."""
        sqs, s3, sns = (self.client(name) for name in ("sqs", "s3", "sns"))
        self.dead_url = sqs.create_queue(QueueName=f"{self.queue}-dead")["QueueUrl"]
        policy = {"deadLetterTargetArn": self._arn(self.dead_url), "maxReceiveCount": 5}
        self.url = sqs.create_queue(
            QueueName=self.queue, Attributes={"RedrivePolicy": json.dumps(policy)}
        )["QueueUrl"]
        assert sns.create_topic(Name="topic")["TopicArn"] == TOPIC
        sns.subscribe(TopicArn=TOPIC, Protocol="sqs", Endpoint=self._arn(self.url))
        for bucket in ("sources", "results"):
            s3.create_bucket(Bucket=bucket)

    def have_s3_tell(self) -> None:
        queue = {"QueueArn": self._arn(self.url)}
        configurations = {
            "sources": {
                "QueueConfigurations": [queue | _of("drop/")],
                "TopicConfigurations": [{"TopicArn": TOPIC} | _of("input/")],
            },
            "results": {"QueueConfigurations": [queue | _of("jobs/")]},
        }
        for bucket, configuration in configurations.items():
            self.client("s3").put_bucket_notification_configuration(
                Bucket=bucket, NotificationConfiguration=configuration
            )

    def _arn(self, url: str) -> str:
        answer = self.client("sqs").get_queue_attributes(
            QueueUrl=url, AttributeNames=["QueueArn"]
        )
        return str(answer["Attributes"]["QueueArn"])

    def put(self, key: str, body: bytes) -> None:
        self.client("s3").put_object(Bucket="sources", Key=key, Body=body)

    def send(self, body: str) -> None:
        self.client("sqs").send_message(QueueUrl=self.url, MessageBody=body)

    def numbers(self) -> tuple[int, ...]:
        """Messages that wait, are in hand, and are held back."""
        answer = self.client("sqs").get_queue_attributes(
            QueueUrl=self.url, AttributeNames=_NUMBERS
        )
        return tuple(int(answer["Attributes"][name]) for name in _NUMBERS)

    def settle(self) -> None:
        """Until no message waits and none is in hand."""
        deadline = time.monotonic() + 60
        while self.numbers()[:2] != (0, 0):
            assert time.monotonic() < deadline, self.said.read_text()
            time.sleep(0.05)

    def dead_letters(self) -> list[tuple[str, str]]:
        """Take those that there are: what they say, and why they are dead."""
        sqs, found = self.client("sqs"), []
        while messages := sqs.receive_message(
            QueueUrl=self.dead_url, MessageAttributeNames=["All"]
        ).get("Messages"):
            for message in messages:
                reason = message["MessageAttributes"]["reason"]["StringValue"]
                found.append((message["Body"], reason))
                sqs.delete_message(
                    QueueUrl=self.dead_url, ReceiptHandle=message["ReceiptHandle"]
                )
        return found

    def count(self, sql: str) -> int:
        [[number]] = self.site.machine.query(f"SELECT count(*) FROM {sql}")
        return int(str(number))


def _of(prefix: str) -> dict[str, Any]:
    rule = {"Name": "prefix", "Value": prefix}
    return {
        "Events": ["s3:ObjectCreated:*"],
        "Filter": {"Key": {"FilterRules": [rule]}},
    }


@contextlib.contextmanager
def opened(queue: str = "arrivals", **environment: str) -> Iterator[Doorstep]:
    """A stack with its people, buckets and bridge; nothing of it is left."""
    folder = Path(tempfile.mkdtemp(prefix="stereospot-doors-"))
    port = Addresses.of(folder / "data").sqs_port
    endpoint = f"http://127.0.0.1:{port}"
    machine = Machine(
        folder / "data",
        {
            "SOURCE_BUCKET": "sources",
            "RESULT_BUCKET": "results",
            "AWS_ENDPOINT_URL": endpoint,
            "AWS_ACCESS_KEY_ID": "somebody",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "SQS_LONG_POLL_WAIT_SECONDS": "1",
            **environment,
        },
    )
    site = Site(machine, f"127.0.0.1:{free_port()}")
    doorstep = Doorstep(site, endpoint, folder / "bridge.log", queue)
    try:
        with site.up():
            site.run(MAKE_PEOPLE)
            doorstep.open()
            with _bridge(doorstep):
                yield doorstep
    finally:
        shutil.rmtree(folder)


@contextlib.contextmanager
def _bridge(doorstep: Doorstep) -> Iterator[None]:
    """`manage.py bridge`, as an operator starts it."""
    name = f"BRIDGE_QUEUE_URL_{doorstep.queue.upper().replace('-', '_')}"
    queue = {name: doorstep.url, "BRIDGE_TOPICS": TOPIC}
    with doorstep.said.open("w") as said:
        process = subprocess.Popen(
            [sys.executable, str(ROOT / "manage.py"), "bridge"],
            env=doorstep.site.machine.variables | queue,
            stdout=said,
            stderr=said,
        )
    try:
        yield
    finally:
        process.terminate()
        assert process.wait(30) == 0, doorstep.said.read_text()
