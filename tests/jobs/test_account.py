from __future__ import annotations

import base64
import json
import os
import time
from threading import Event

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from django.contrib.auth import authenticate
from django.db import transaction
from django.test import Client
from django.urls import reverse

from apps.jobs import ledger
from apps.jobs.models import Charge, Notice, Subscription
from tests.concurrency import at_once

PASSWORD = "a fine horse"
NEW = "quite another horse"
ENDPOINT = "https://push.example/abc"


@pytest.fixture(autouse=True)
def quick_passwords(settings) -> None:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture
def person(client, alice):
    """Alice, signed in with her password."""
    alice.set_password(PASSWORD)
    alice.email = "alice@films.example"
    alice.save()
    assert client.login(username="alice", password=PASSWORD)
    return alice


@pytest.fixture
def elsewhere(person) -> Client:
    """Alice's other browser."""
    other = Client()
    assert other.login(username="alice", password=PASSWORD)
    return other


def b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def keys() -> dict[str, str]:
    point = ec.generate_private_key(ec.SECP256R1()).public_key()
    raw = point.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    return {"p256dh": b64(raw), "auth": b64(os.urandom(16))}


def tell_browser(client, endpoint=ENDPOINT, **facts):
    browser = {"endpoint": endpoint, "keys": keys(), "name": "Firefox", **facts}
    url = reverse("account-browser")
    return client.post(url, json.dumps(browser), content_type="application/json")


def change(client, old=PASSWORD, new=NEW, again=NEW):
    fields = {"old_password": old, "new_password1": new, "new_password2": again}
    return client.post(reverse("account-password"), fields)


def test_the_page_says_what_was_used_and_when_there_is_more(client, person, job):
    Charge.objects.create(owner=person, job_id=job.pk, seconds=90)

    page = client.get("/account/").text

    assert "1 of 10" in page
    assert "1.5 of 600" in page
    assert 'value="1.5"' in page


def test_who_has_no_quota_is_told_so(client, admin_user):
    client.force_login(admin_user)

    assert "You have no quota." in client.get("/account/").text


def test_a_new_password_lets_in_and_signs_out_everywhere_else(
    client, person, elsewhere
):
    assert change(client).status_code == 303

    assert authenticate(username="alice", password=NEW) == person
    assert client.get("/").status_code == 200
    assert elsewhere.get("/").status_code == 302


def test_a_new_password_wants_the_old_one_and_a_good_one(client, person):
    for refused in (
        change(client, old="wrong"),
        change(client, new="password", again="password"),
        change(client, again="something else"),
    ):
        assert refused.status_code == 422
    assert authenticate(username="alice", password=PASSWORD) == person


def test_a_session_that_was_found_open_is_no_way_to_guess_the_password(client, person):
    for _ in range(5):
        change(client, old="wrong")

    answer = client.post(
        reverse("account-elsewhere"), {"password": PASSWORD}, follow=True
    )

    assert "The password was not looked at" in answer.text
    assert change(client).status_code == 303
    assert authenticate(username="alice", password=PASSWORD) == person


def test_signing_out_elsewhere_keeps_the_password_and_this_session(
    client, person, elsewhere
):
    refused = client.post(reverse("account-elsewhere"), {"password": "wrong"})
    assert "That is not your password" in refused.text
    assert elsewhere.get("/").status_code == 200

    client.post(reverse("account-elsewhere"), {"password": PASSWORD})

    assert client.get("/").status_code == 200
    assert elsewhere.get("/").status_code == 302
    assert authenticate(username="alice", password=PASSWORD) == person


def test_a_site_that_sends_no_mail_says_so(client, person):
    assert "This site sends no mail." in client.get("/account/").text

    client.post(reverse("account-mail"), {"start": ""})

    assert not Subscription.objects.exists()


def test_mail_is_opted_into_and_out_of(client, person, settings):
    settings.EMAIL_HOST = "mail.example"

    client.post(reverse("account-mail"), {"start": ""})
    client.post(reverse("account-mail"), {"start": ""})

    mail = Subscription.objects.get()
    assert (mail.owner, mail.channel) == (person, "mail")
    assert mail.kinds == ["job.completed", "job.failed"]
    assert "Mail goes to alice@films.example" in client.get("/account/").text

    client.post(reverse("account-mail"), {"stop": ""})

    assert not Subscription.objects.exists()


def test_an_account_without_an_address_says_who_can_add_one(client, person, settings):
    settings.EMAIL_HOST = "mail.example"
    type(person).objects.update(email="")

    assert "Your account has no address" in client.get("/account/").text


def test_a_browser_is_told_once_however_often_it_asks(client, person):
    assert tell_browser(client).status_code == 201
    assert tell_browser(client).status_code == 201

    browser = Subscription.objects.get()
    assert (browser.owner, browser.target) == (person, ENDPOINT)
    assert "Firefox" in client.get("/account/").text


def test_a_browser_is_told_of_who_signed_in_last(client, person, charlie):
    tell_browser(client)
    client.force_login(charlie)
    tell_browser(client)

    assert Subscription.objects.get().owner == charlie


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("who", ["stops their mail", "signs in with her browser"])
def test_who_unsubscribes_while_a_film_ends_costs_neither(
    client, person, charlie, job, who
):
    mail = who == "stops their mail"
    Subscription.objects.create(
        owner=person,
        channel="mail" if mail else "push",
        target="" if mail else ENDPOINT,
        kinds=["job.cancelled"],
    )
    client.force_login(person if mail else charlie)
    is_told = Event()

    def end() -> bool:
        with transaction.atomic():
            ended = ledger.cancel(job.pk)
            is_told.set()
            time.sleep(0.5)
        return ended

    def unsubscribe() -> int:
        is_told.wait(30)
        if mail:
            return client.post(reverse("account-mail"), {"stop": ""}).status_code
        return tell_browser(client).status_code

    assert at_once([end, unsubscribe]) == [True, 303 if mail else 201]
    assert not Subscription.objects.filter(owner=person).exists()
    assert not Notice.objects.exists()


def test_a_browser_with_a_null_in_its_name_is_refused(client, person):
    assert tell_browser(client, name="Fire\0fox").status_code == 422
    assert not Subscription.objects.exists()


def test_keys_are_kept_as_we_spell_them(client, person):
    hers = keys()

    noisy = {name: f"{key[:4]}\0\0\0\0{key[4:]}" for name, key in hers.items()}
    assert tell_browser(client, keys=noisy).status_code == 201

    assert Subscription.objects.get().details == {**hers, "name": "Firefox"}


@pytest.mark.parametrize(
    ("endpoint", "says"),
    [
        ("http://push.example/abc", "https://"),
        ("https://169.254.169.254/latest", "public"),
        ("https://[::1]/", "public"),
        ("https://10.0.0.1/", "public"),
        ("file:///etc/passwd", "https://"),
        ("https://me:secret@push.example/", "password"),
    ],
)
def test_a_push_service_is_a_public_one_over_https(client, person, endpoint, says):
    answer = tell_browser(client, endpoint)

    assert answer.status_code == 422
    assert says in answer.json()["error"]
    assert not Subscription.objects.exists()


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"p256dh": "AAAA", "auth": "AAAA"},
        {"p256dh": "ü", "auth": "ü"},
        {"p256dh": 1, "auth": None},
        keys() | {"auth": "c2hvcnQ"},
    ],
)
def test_keys_that_make_no_sense_are_refused(client, person, wrong):
    assert tell_browser(client, keys=wrong).status_code == 422
    assert not Subscription.objects.exists()


@pytest.mark.parametrize("body", ["", "[]", "null", '{"endpoint": 7}', "\x00", "{"])
def test_nonsense_from_a_browser_is_no_mistake_of_ours(client, person, body):
    url = reverse("account-browser")

    answer = client.post(url, body, content_type="application/json")

    assert answer.status_code == 422


def test_there_are_so_many_browsers_and_no_more(client, person):
    for number in range(20):
        assert tell_browser(client, f"{ENDPOINT}/{number}").status_code == 201

    assert "20 browsers" in tell_browser(client).json()["error"]
    assert tell_browser(client, f"{ENDPOINT}/7").status_code == 201


def test_a_browser_is_forgotten_by_its_owner_alone(client, person, charlie):
    tell_browser(client)
    url = reverse("account-browser-forget", args=[Subscription.objects.get().pk])
    stranger = Client()
    stranger.force_login(charlie)

    assert stranger.post(url).status_code == 404
    assert client.post(url).status_code == 303
    assert not Subscription.objects.exists()


def test_the_worker_of_notifications_is_a_script_at_the_top(client, db):
    response = client.get("/worker.js")

    assert response["Content-Type"].startswith("text/javascript")
    assert response["Cache-Control"] == "no-cache"
    assert "connect-src 'self'" in response["Content-Security-Policy"]
    assert "showNotification" in response.text


def test_a_site_without_a_key_says_that_it_sends_no_notifications(
    client, person, settings
):
    settings.VAPID_PRIVATE_KEY = ""

    page = client.get("/account/").text

    assert "This site sends no notifications." in page
    assert 'id="push"' not in page
