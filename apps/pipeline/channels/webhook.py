"""Webhooks, signed as Standard Webhooks says (https://www.standardwebhooks.com).

The secret is made from the site's key and is in no table. It is the address's own, so that
one receiver cannot forge what another is told.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time

from django.conf import settings
from django.utils.crypto import salted_hmac

from apps.jobs.models import Notice, Subscription
from apps.pipeline.channels.posting import post

GONE = 410
"""The receiver wants no more (Standard Webhooks)."""


def tell(notice: Notice) -> str:
    """Post the notice; its status."""
    body = json.dumps(notice.body, separators=(",", ":")).encode()
    headers = {
        "Content-Type": "application/json",
        **_signed(notice, body, int(time.time())),
    }
    return post(notice.subscription.target, headers, body, gone=(GONE,))


def secret(subscription: Subscription) -> str:
    """What the receiver verifies signatures with, as it is shown to its owner once."""
    key = _keys(subscription)[0]
    return f"whsec_{base64.b64encode(key).decode()}"


def message_id(notice: Notice) -> str:
    return f"msg_{notice.pk.hex}"


def _keys(subscription: Subscription) -> list[bytes]:
    """The present one first, then those of keys that the site had before."""
    value = f"{subscription.pk}:{subscription.details['salt']}"
    return [
        salted_hmac("stereospot.webhook", value, key, algorithm="sha256").digest()
        for key in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)
    ]


def _signed(notice: Notice, body: bytes, at: int) -> dict[str, str]:
    name = message_id(notice)
    content = f"{name}.{at}.".encode() + body
    signatures = (
        hmac.new(key, content, hashlib.sha256).digest()
        for key in _keys(notice.subscription)
    )
    return {
        "webhook-id": name,
        "webhook-timestamp": str(at),
        "webhook-signature": " ".join(
            f"v1,{base64.b64encode(signature).decode()}" for signature in signatures
        ),
    }
