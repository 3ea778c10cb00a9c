"""Messages as our producers write them, and as somebody else might."""

from __future__ import annotations

import base64
import json
from uuid import uuid4


def envelope(
    task: str, *args: object, encoding: str = "base64", **changed: object
) -> str:
    """A message that is right but for what is changed."""
    body = json.dumps([args, {}, {}])
    if encoding == "base64":
        body = base64.b64encode(body.encode()).decode()
    content = {
        "body": body,
        "content-encoding": "utf-8",
        "content-type": "application/json",
        "headers": {"task": task, "id": str(uuid4())},
        "properties": {"body_encoding": encoding, "delivery_tag": "1"},
    }
    return json.dumps(content | changed)
