"""What lies in the queues, asked of the server behind the proxy."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import boto3

from tests.chaos.deliveries import Dead

DEAD = "-dead"
"""How the names of dead-letter queues end."""
_COUNTS = (
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible",
    "ApproximateNumberOfMessagesDelayed",
)


class Queues:
    def __init__(self, url: str) -> None:
        self._client: Any = boto3.client(
            "sqs",
            endpoint_url=url,
            region_name="us-east-1",
            aws_access_key_id="embedded",
            aws_secret_access_key="embedded",
        )

    def waiting(self) -> dict[str, int]:
        """Messages by queue: visible, in flight and delayed."""
        return {
            url.rsplit("/")[-1]: self._count(url)
            for url in self._urls()
            if not url.endswith(DEAD)
        }

    def dead(self) -> Iterator[Dead]:
        """The dead letters, which are hidden from now on."""
        for url in self._urls():
            while url.endswith(DEAD):
                found = self._client.receive_message(
                    QueueUrl=url, MaxNumberOfMessages=10
                )
                if not found.get("Messages"):
                    break
                for message in found["Messages"]:
                    queue = url.rsplit("/")[-1]
                    yield Dead(queue, message["MessageId"], message["Body"])

    def _urls(self) -> list[str]:
        return list(self._client.list_queues().get("QueueUrls", []))

    def _count(self, url: str) -> int:
        answer = self._client.get_queue_attributes(
            QueueUrl=url, AttributeNames=list(_COUNTS)
        )
        return sum(int(answer["Attributes"][name]) for name in _COUNTS)
