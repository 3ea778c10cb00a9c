"""Messages of S3, SNS and SageMaker, out of the envelopes that they come in."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any, NamedTuple
from urllib.parse import unquote_plus

from workers.bridge import UnintelligibleError

LARGEST_BODY = 256 * 1024
"""Bytes: more is none of the messages that we know."""
MOST_ENVELOPES = 2
"""SNS inside of SNS has been seen; deeper is nonsense."""


class Arrival(NamedTuple):
    """An object that is said to be in a bucket."""

    bucket: str
    key: str


def opened(body: str, *, topics: Collection[str] = ()) -> dict[str, Any]:
    """The JSON object that a message is about, sent directly or by SNS.

    With `topics`, SNS's envelopes of others are refused. Raises `UnintelligibleError`.
    """
    if len(body.encode(errors="replace")) > LARGEST_BODY:
        raise UnintelligibleError(f"it is larger than {LARGEST_BODY} bytes")
    for _ in range(MOST_ENVELOPES + 1):
        found = _object(body)
        if found.get("Type") != "Notification" or "Message" not in found:
            return found
        topic = found.get("TopicArn")
        if topics and topic not in topics:
            raise UnintelligibleError(f"it comes from {topic!r}, no topic of ours")
        body = found["Message"]
    raise UnintelligibleError("it is in too many envelopes")


def arrivals(event: dict[str, Any]) -> list[Arrival] | None:
    """What an event of S3 says has arrived; None for what is no event of S3.

    Nothing for its test event, and for events that tell of no new object. Raises
    `UnintelligibleError`.
    """
    if event.get("Event") == "s3:TestEvent":
        return []
    if event.get("source") == "aws.s3" and "detail" in event:  # by EventBridge
        return _of_eventbridge(event)
    records = event.get("Records")
    if not isinstance(records, list):
        return None
    found = []
    for record in records:
        try:
            if record["eventSource"] != "aws:s3":
                raise UnintelligibleError("it holds records of something else than S3")
            if record["eventName"].startswith("ObjectCreated:"):
                s3 = record["s3"]
                key = unquote_plus(s3["object"]["key"], errors="strict")
                found.append(_arrival(s3["bucket"]["name"], key))
        except UnicodeDecodeError as error:
            raise UnintelligibleError(f"a key is no text: {error}") from error
        except (KeyError, TypeError, AttributeError) as error:
            raise UnintelligibleError(f"a record of S3 lacks {error}") from error
    return found


def _of_eventbridge(event: dict[str, Any]) -> list[Arrival]:
    if event.get("detail-type") != "Object Created":
        return []
    try:
        detail = event["detail"]
        # Here the key is spelled as it is.
        return [_arrival(detail["bucket"]["name"], detail["object"]["key"])]
    except (KeyError, TypeError) as error:
        raise UnintelligibleError(f"an event of S3 lacks {error}") from error


def _arrival(bucket: object, key: object) -> Arrival:
    try:
        str(key).encode()
    except UnicodeEncodeError as error:  # half of a character, as JSON may spell it
        raise UnintelligibleError(f"a key is no text: {error}") from error
    return Arrival(str(bucket), str(key))


def _object(body: object) -> dict[str, Any]:
    try:
        found = json.loads(body) if isinstance(body, str) else body
    except (ValueError, RecursionError) as error:
        raise UnintelligibleError(f"it is no JSON: {error}") from error
    if not isinstance(found, dict):
        raise UnintelligibleError("it is no JSON object")
    return found
