"""Web Push: a notification of the browser, encrypted for it alone (RFC 8030, 8291, 8292).

Its push service sees neither title nor link. With the same `tag` a doubled message takes
the place of the first one on the screen.
"""

from __future__ import annotations

import json
import time
from urllib.parse import urlsplit

import http_ece
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from django.conf import settings
from django.urls import reverse
from django.utils.http import urlsafe_base64_decode, urlsafe_base64_encode
from py_vapid import Vapid02

from apps.jobs.models import Notice
from apps.pipeline.channels import words
from apps.pipeline.channels.posting import post
from apps.pipeline.channels.untold import UntoldError

GONE = (404, 410)
"""The browser has unsubscribed, or the person has taken back the permission."""
KEPT_SECONDS = 24 * 3600
"""How long the push service keeps a message for a browser that is not running."""
VALID_SECONDS = 12 * 3600
"""Of our signature; push services refuse more than a day."""


def tell(notice: Notice) -> str:
    if not settings.VAPID_PRIVATE_KEY:
        raise UntoldError("This site sends no notifications.")
    endpoint = notice.subscription.target
    headers = {
        "Content-Encoding": "aes128gcm",
        "Content-Type": "application/octet-stream",
        "TTL": str(KEPT_SECONDS),
        "Topic": notice.pk.hex,
        "Urgency": "normal",
        **_signature(endpoint),
    }
    body = _encrypted(_payload(notice), notice.subscription.details)
    return post(endpoint, headers, body, gone=GONE)


def public_key() -> str:
    """What a browser subscribes with; empty where this site sends no notifications."""
    if not settings.VAPID_PRIVATE_KEY:
        return ""
    point = _vapid().public_key.public_bytes(
        Encoding.X962, PublicFormat.UncompressedPoint
    )
    return urlsafe_base64_encode(point)


def _payload(notice: Notice) -> bytes:
    told = notice.get_body()
    facts = {
        "tag": str(notice.pk),
        "title": words.title(told),
        "body": f"Your film {words.ending(told)}.",
        "url": reverse("job", args=[told.data.id]),
    }
    return json.dumps(facts).encode()


def _encrypted(payload: bytes, keys: dict[str, str]) -> bytes:
    encrypted: bytes = http_ece.encrypt(
        payload,
        private_key=ec.generate_private_key(ec.SECP256R1()),
        dh=urlsafe_base64_decode(keys["p256dh"]),
        auth_secret=urlsafe_base64_decode(keys["auth"]),
    )
    return encrypted


def _signature(endpoint: str) -> dict[str, str]:
    parts = urlsplit(endpoint)
    claims = {
        "sub": settings.VAPID_SUBJECT,
        "aud": f"{parts.scheme}://{parts.netloc}",
        "exp": int(time.time()) + VALID_SECONDS,
    }
    headers: dict[str, str] = _vapid().sign(claims)
    return headers


def _vapid() -> Vapid02:
    return Vapid02.from_raw(settings.VAPID_PRIVATE_KEY.encode())
