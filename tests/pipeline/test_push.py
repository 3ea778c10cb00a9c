"""Web Push as a push service and a browser see it, with nothing of our own libraries."""

from __future__ import annotations

import base64
import json
import os
import struct
import time

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from apps.jobs import ledger
from apps.jobs.models import Job, Notice, Subscription
from apps.pipeline.channels import push
from apps.pipeline.telling import tell
from contract.errors import ErrorCode, StereoSpotError
from contract.notices import NoticeKind
from stereospot.embedded import push_key

pytestmark = pytest.mark.django_db(transaction=True)

CURVE = ec.SECP256R1()


def b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def raw(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def point_of(key: ec.EllipticCurvePrivateKey) -> bytes:
    public = key.public_key()
    return public.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


class Browser:
    """Has the keys of its subscription, and can read what is meant for it (RFC 8291)."""

    def __init__(self) -> None:
        self.key = ec.generate_private_key(CURVE)
        self.secret = os.urandom(16)

    @property
    def keys(self) -> dict[str, str]:
        return {"p256dh": b64(point_of(self.key)), "auth": b64(self.secret)}

    def read(self, body: bytes) -> bytes:
        salt, (size, length) = body[:16], struct.unpack("!LB", body[16:21])
        sender, text = body[21 : 21 + length], body[21 + length :]
        assert len(text) <= size
        public = ec.EllipticCurvePublicKey.from_encoded_point(CURVE, sender)
        shared = self.key.exchange(ec.ECDH(), public)
        info = b"WebPush: info\0" + point_of(self.key) + sender
        secret = HKDF(SHA256(), 32, self.secret, info).derive(shared)
        key = HKDF(SHA256(), 16, salt, b"Content-Encoding: aes128gcm\0").derive(secret)
        nonce = HKDF(SHA256(), 12, salt, b"Content-Encoding: nonce\0").derive(secret)
        padded = AESGCM(key).decrypt(nonce, text, None)
        text, end = padded.rstrip(b"\0")[:-1], padded.rstrip(b"\0")[-1:]
        assert end == b"\x02"
        return text


@pytest.fixture
def browser() -> Browser:
    return Browser()


@pytest.fixture
def notice(alice, job, browser, receiver) -> Notice:
    """Alice's film has failed, and her browser is to be told so."""
    Subscription.objects.create(
        owner=alice,
        channel="push",
        target=receiver.url,
        kinds=[NoticeKind.COMPLETED, NoticeKind.FAILED],
        details={**browser.keys, "name": "Firefox"},
    )
    Job.objects.update(title="映画<script>.mp4")
    error = StereoSpotError(ErrorCode.DISK_FULL, "The disk of server 7 is full.")
    ledger.fail_segment(ledger.claim_segment(job.pk, 1), error)
    return Notice.objects.get()


@pytest.mark.usefixtures("at_home")
def test_the_browser_reads_title_and_link_and_nothing_more(
    notice, receiver, browser, job
):
    receiver.status = 201

    assert tell(notice.pk) is True

    ((headers, body),) = receiver.told
    assert json.loads(browser.read(body)) == {
        "tag": str(notice.pk),
        "title": "映画<script>.mp4",
        "body": "Your film has failed.",
        "url": f"/jobs/{job.pk}/",
    }
    assert headers["content-encoding"] == "aes128gcm"
    assert int(headers["ttl"]) > 0
    assert len(headers["topic"]) <= 32


@pytest.mark.usefixtures("at_home")
def test_the_push_service_sees_none_of_it(notice, receiver):
    tell(notice.pk)

    ((headers, body),) = receiver.told
    seen = body + repr(headers).encode()
    assert b"script" not in seen
    assert str(notice.job_id).encode() not in seen


@pytest.mark.usefixtures("at_home")
def test_the_push_service_can_verify_who_sends(notice, receiver, settings):
    tell(notice.pk)

    headers, _ = receiver.told[0]
    scheme, _, rest = headers["authorization"].partition(" ")
    parts = dict(part.strip().split("=", 1) for part in rest.split(","))
    head, claims, signature = parts["t"].split(".")
    assert (scheme, parts["k"]) == ("vapid", push.public_key())
    r, s = raw(signature)[:32], raw(signature)[32:]
    encoded = utils.encode_dss_signature(int.from_bytes(r), int.from_bytes(s))
    key = ec.EllipticCurvePublicKey.from_encoded_point(CURVE, raw(parts["k"]))
    key.verify(encoded, f"{head}.{claims}".encode(), ec.ECDSA(SHA256()))
    said = json.loads(raw(claims))
    assert said["aud"] == receiver.url.removesuffix("/told")
    assert said["sub"] == settings.VAPID_SUBJECT
    assert time.time() < said["exp"] <= time.time() + 24 * 3600


@pytest.mark.usefixtures("at_home")
@pytest.mark.parametrize("status", [404, 410])
def test_a_browser_that_has_unsubscribed_is_forgotten(notice, receiver, status):
    receiver.status = status

    assert tell(notice.pk) is False

    assert not Subscription.objects.exists()
    assert not Notice.objects.exists()


@pytest.mark.usefixtures("at_home")
@pytest.mark.parametrize("status", [400, 429, 500, 503])
def test_a_push_service_in_trouble_is_asked_again(notice, receiver, status):
    receiver.status = status

    assert tell(notice.pk) is False

    notice.refresh_from_db()
    assert notice.due_at is not None
    assert notice.answer == f"HTTP {status}"


@pytest.mark.usefixtures("at_home")
def test_told_again_after_a_crash_it_takes_the_place_of_the_first(
    notice, receiver, browser
):
    due = notice.due_at
    tell(notice.pk)
    Notice.objects.update(sent_at=None, due_at=due)
    tell(notice.pk)
    assert tell(notice.pk) is False

    first, second = (json.loads(browser.read(body)) for _, body in receiver.told)
    assert first["tag"] == second["tag"]
    assert receiver.told[0][0]["topic"] == receiver.told[1][0]["topic"]


def test_a_push_service_within_our_own_network_is_not_reached(notice, receiver):
    assert tell(notice.pk) is False

    assert receiver.told == []
    notice.refresh_from_db()
    assert "is not a public address" in notice.answer


def test_a_site_without_a_key_says_so(notice, settings):
    settings.VAPID_PRIVATE_KEY = ""

    assert push.public_key() == ""
    assert tell(notice.pk) is False
    notice.refresh_from_db()
    assert notice.answer == "This site sends no notifications."


def test_a_machine_s_key_is_made_once_and_is_nobody_else_s_to_read(tmp_path):
    key = push_key(tmp_path)

    assert push_key(tmp_path) == key
    assert len(raw(key)) == 32
    assert (tmp_path / "push-key").stat().st_mode & 0o077 == 0
