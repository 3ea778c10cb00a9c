"""Webhooks: signed, once by their id, and to public addresses only."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import json
import socket
import threading
import time

import pytest
from django.utils.timezone import now

from apps.jobs import ledger
from apps.jobs.models import Job, Notice, Subscription
from apps.pipeline import messages, sweep, tasks
from apps.pipeline.channels import posting, public, webhook
from apps.pipeline.telling import tell
from contract.notices import NoticeKind

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def notice(job, alice, receiver) -> Notice:
    """Alice's job is cancelled, and her server is to be told so."""
    Subscription.objects.create(
        owner=alice,
        channel="webhook",
        target=receiver.url,
        kinds=list(NoticeKind),
        details={"salt": "salt"},
    )
    ledger.cancel(job.pk)
    return Notice.objects.get()


def is_signed(secret: str, headers: dict[str, str], body: bytes) -> bool:
    """As a receiver verifies it, with nothing of ours."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    content = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    mine = base64.b64encode(hmac.digest(key, content, hashlib.sha256)).decode()
    return f"v1,{mine}" in headers["webhook-signature"].split(" ")


@pytest.mark.usefixtures("at_home")
def test_a_receiver_can_verify_what_it_is_told(notice, receiver, job):
    assert tell(notice.pk) is True

    ((headers, body),) = receiver.told
    assert is_signed(webhook.secret(notice.subscription), headers, body)
    assert not is_signed("whsec_AAAA", headers, body)
    assert abs(int(headers["webhook-timestamp"]) - time.time()) < 60
    told = json.loads(body)
    assert (told["type"], told["data"]["id"]) == ("job.cancelled", str(job.pk))


@pytest.mark.usefixtures("at_home")
def test_after_the_sites_key_was_changed_old_and_new_secrets_verify(
    notice, receiver, settings
):
    old = webhook.secret(notice.subscription)
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "new", [settings.SECRET_KEY]

    tell(notice.pk)

    ((headers, body),) = receiver.told
    assert is_signed(old, headers, body)
    assert is_signed(webhook.secret(notice.subscription), headers, body)


@pytest.mark.usefixtures("at_home")
def test_what_is_told_twice_has_the_same_id(notice, receiver):
    receiver.status = 500
    assert tell(notice.pk) is False
    Notice.objects.update(due_at=now())
    receiver.status = 204

    assert tell(notice.pk) is True

    first, second = receiver.told
    assert first[0]["webhook-id"] == second[0]["webhook-id"]
    assert first[1] == second[1]


@pytest.mark.usefixtures("at_home")
def test_a_receiver_that_wants_no_more_is_told_no_more(notice, receiver):
    receiver.status = 410

    tell(notice.pk)

    assert Subscription.objects.get().stopped_at is not None


@pytest.mark.usefixtures("at_home")
def test_a_redirect_is_not_followed(notice, receiver):
    receiver.status, receiver.location = 307, receiver.url

    assert tell(notice.pk) is False

    notice.refresh_from_db()
    assert (len(receiver.told), notice.answer) == (1, "HTTP 307")


@pytest.mark.usefixtures("at_home")
def test_a_receiver_that_never_ends_its_answer_is_left(notice, monkeypatch):
    monkeypatch.setattr(posting, "SECONDS", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as server, contextlib.ExitStack() as ex:
        port = server.getsockname()[1]
        Subscription.objects.update(target=f"http://127.0.0.1:{port}/")
        done = threading.Event()
        thread = threading.Thread(target=_drip, args=(server, done))
        ex.callback(thread.join)
        ex.callback(done.set)
        thread.start()

        assert tell(notice.pk) is False

    notice.refresh_from_db()
    assert notice.answer.startswith("No answer within")


def _drip(server: socket.socket, done: threading.Event) -> None:
    """Say a header that has no end, a byte at a time."""
    connection, _ = server.accept()
    with connection, contextlib.suppress(OSError):
        connection.sendall(b"HTTP/1.1 200 OK\r\nX-Long: ")
        while not done.wait(0.05):
            connection.sendall(b"x")


@pytest.mark.usefixtures("at_home")
def test_nobody_at_home_is_said_in_words(notice):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    Subscription.objects.update(target=f"http://127.0.0.1:{port}/")

    assert tell(notice.pk) is False

    notice.refresh_from_db()
    assert notice.answer


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "2130706433", "0x7f.1"])
def test_no_webhook_reaches_this_machine(notice, receiver, host):
    url = receiver.url.replace("127.0.0.1", host)
    Subscription.objects.update(target=url)

    assert tell(notice.pk) is False

    notice.refresh_from_db()
    assert (receiver.told, notice.answer) == ([], f"{host} is not a public address.")


@pytest.mark.parametrize(
    "address",
    [
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "::1",
        "::",
        "fe80::1%eth0",
        "fd00::1",
        "::ffff:127.0.0.1",
        "2002:7f00:1::",
        "64:ff9b::7f00:1",
    ],
)
def test_addresses_of_ours_are_not_public(address):
    assert not public.is_allowed(address)


@pytest.mark.parametrize("address", ["93.184.216.34", "2606:2800:220:1::1"])
def test_addresses_of_others_are(address):
    assert public.is_allowed(address)


def test_a_name_that_is_looked_up_twice_leads_nowhere_else(
    notice, receiver, monkeypatch
):
    """The name server first says a public address, then ours (DNS rebinding)."""
    connected = []

    async def addresses(host: str, port: int) -> list[str]:
        return ["93.184.216.34"]

    async def connect(self, host, *rest):
        connected.append(host)
        raise webhook.httpcore2.ConnectError("unreachable")

    monkeypatch.setattr(public, "_addresses", addresses)
    monkeypatch.setattr(posting.httpcore2.AnyIOBackend, "connect_tcp", connect)
    Subscription.objects.update(
        target=receiver.url.replace("127.0.0.1", "evil.example")
    )

    tell(notice.pk)

    assert connected == ["93.184.216.34"]


def test_a_mistake_of_ours_is_tried_again_like_any_failure(notice, monkeypatch):
    monkeypatch.setattr(webhook, "_signed", lambda *args: 1 / 0)

    assert tell(notice.pk) is False

    notice.refresh_from_db()
    assert (notice.state, notice.attempts) == ("due", 1)


# --- Nothing is lost --------------------------------------------------------------


@pytest.fixture
def sent(monkeypatch) -> list[str]:
    """Ids of notices that workers were asked to tell."""
    sent: list[str] = []
    monkeypatch.setattr(messages, "send_notice", lambda n: sent.append(str(n.pk)))
    monkeypatch.setattr(messages, "waiting", lambda queue: 0)
    return sent


def test_the_sweep_asks_for_what_is_due_and_nothing_else(notice, sent):
    sweep.sweep()
    assert sent == [str(notice.pk)]
    ledger.claim_notice(notice.pk)

    sweep.sweep()

    assert len(sent) == 1


def test_the_sweep_does_not_fill_a_queue_that_is_full_of_them(
    notice, sent, monkeypatch
):
    monkeypatch.setattr(messages, "waiting", lambda queue: 3)

    sweep.sweep()

    assert sent == []


def test_a_completed_job_is_told_at_once(job, alice, sent, monkeypatch):
    Subscription.objects.create(
        owner=alice, channel="webhook", target="u", kinds=list(NoticeKind)
    )
    job.segments.update(status="done", seconds=1.0, notify_at=None)
    ledger.reassemble_when_done(job.pk)
    monkeypatch.setattr(tasks, "attempt", lambda claim, work: None)

    tasks.concat.run(str(job.pk))

    assert Job.objects.get(pk=job.pk).status == Job.Status.COMPLETED
    assert sent == [str(Notice.objects.get().pk)]
