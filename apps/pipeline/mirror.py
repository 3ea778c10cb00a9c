"""The status of tasks in a DynamoDB table of the producer's layout.

    id, task_id                  the key: parent_id and task_id
    type                         VIDEO
    status                       PENDING, IN_PROGRESS, COMPLETED or FAILED
    source_prompt                the prompt
    date_created, date_updated   2026-11-28T15:40:00.123Z
    media_url, media_urls        of the first clip, of all; once completed
    error                        why it failed
    sparse_gsi_hash_key          parent_id, until it is completed
    revision                     what is older never overwrites what is newer

A row that the producer has made keeps its prompt and its date.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError
from django.conf import settings

from apps.jobs import aws
from apps.jobs.models import VideoTask
from contract.story import TaskStatus

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef

KIND = "VIDEO"
_NEWER = "ConditionalCheckFailedException"
_ONCE = ("source_prompt", "date_created")
"""The producer's own, where it has made the row."""
_MAYBE = ("media_url", "media_urls", "error", "sparse_gsi_hash_key")


def write(task: VideoTask) -> bool:
    """Let the table say what `task` does; False when it says something newer.

    Raises what boto does.
    """
    facts = _facts(task)
    sets = [
        f"#{name} = if_not_exists(#{name}, :{name})"
        if name in _ONCE
        else f"#{name} = :{name}"
        for name in facts
    ]
    gone = [f"#{name}" for name in _MAYBE if name not in facts]
    try:
        _client().update_item(
            TableName=settings.STORY_TABLE,
            Key={"id": {"S": task.parent_id}, "task_id": {"S": task.task_id}},
            UpdateExpression=f"SET {', '.join(sets)} REMOVE {', '.join(gone)}",
            ConditionExpression="attribute_not_exists(#revision) "
            "OR #revision < :revision",
            ExpressionAttributeNames={f"#{name}": name for name in (*facts, *_MAYBE)},
            ExpressionAttributeValues={f":{name}": v for name, v in facts.items()},
        )
    except ClientError as error:
        if aws.code_of(error) == _NEWER:
            return False
        raise
    return True


def _facts(task: VideoTask) -> Mapping[str, AttributeValueTypeDef]:
    facts: dict[str, AttributeValueTypeDef] = {
        "type": {"S": KIND},
        "status": {"S": task.status},
        "source_prompt": {"S": task.prompt},
        "date_created": {"S": _date(task.created_at)},
        "date_updated": {"S": _date(task.updated_at)},
        "revision": {"N": str(task.revision)},
    }
    if task.status == TaskStatus.COMPLETED:
        facts["media_url"] = {"S": task.media_urls[0]}
        facts["media_urls"] = {"L": [{"S": url} for url in task.media_urls]}
    else:
        facts["sparse_gsi_hash_key"] = {"S": task.parent_id}
    if task.reason:
        facts["error"] = {"S": task.reason}
    return facts


def _date(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _client() -> DynamoDBClient:
    return boto3.client(
        "dynamodb",
        region_name=settings.AWS_REGION,
        config=Config(
            connect_timeout=5,
            read_timeout=10,
            retries={"mode": "standard", "total_max_attempts": 2},
        ),
    )
