from __future__ import annotations

from datetime import timedelta

import pytest
from django.db.models import F
from django.test import Client
from django.urls import reverse

from apps.jobs.models import Rate

PASSWORD = "correct horse"


@pytest.fixture(autouse=True)
def quick_passwords(settings) -> None:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture
def person(alice):
    """Alice, with a password."""
    alice.set_password(PASSWORD)
    alice.save()
    return alice


def sign_in(client, password=PASSWORD, name="alice", address="203.0.113.7", **extra):
    known = {"username": name, "password": password}
    return client.post("/login/", known, REMOTE_ADDR=address, **extra)


def guess(address="203.0.113.7", times=5, name="alice", **extra):
    """A stranger's tries; the last one's answer."""
    answers = [sign_in(Client(), "wrong", name, address, **extra) for _ in range(times)]
    return answers[-1]


def wait(seconds: float) -> None:
    earlier = timedelta(seconds=seconds)
    Rate.objects.update(at=F("at") - earlier, pause_until=F("pause_until") - earlier)


def test_after_five_wrong_passwords_there_is_a_pause_said_in_words(client, person):
    assert guess(times=5).status_code == 200

    refused = sign_in(client)

    assert refused.status_code == 429
    assert 1 <= int(refused["Retry-After"]) <= 5
    assert "Try again in 5 s" in refused.text
    assert "The password was not looked at" in refused.text
    assert "sessionid" not in refused.cookies


def test_after_the_pause_the_right_password_lets_in_and_forgets_the_wrong_ones(
    client, person
):
    guess(times=5)
    wait(5)

    assert sign_in(client).status_code == 302
    assert guess(times=5).status_code == 200


def test_a_stranger_elsewhere_does_not_keep_the_person_out(client, person):
    assert guess(address="198.51.100.1", times=6).status_code == 429

    assert sign_in(client).status_code == 302


def test_a_thousand_strangers_keep_nobody_out_of_their_own_browser(client, person):
    assert sign_in(client).status_code == 302
    client.post("/logout/")
    for block in range(25):
        guess(address=f"198.51.100.{block}", times=5)
    assert guess(address="192.0.2.1", times=1).status_code == 429

    # The same address, too, as somebody who tried too often.
    assert sign_in(client, address="198.51.100.1").status_code == 302


def test_nor_is_a_known_browser_a_way_to_guess(client, person):
    sign_in(client)
    client.post("/logout/")

    answers = [sign_in(client, "wrong").status_code for _ in range(6)]

    assert answers == [200] * 5 + [429]


def test_a_known_browser_is_known_for_its_own_person_only(client, person, charlie):
    sign_in(client)
    client.post("/logout/")
    guess(name="charlie", times=5)

    assert sign_in(client, name="charlie").status_code == 429


def test_the_mark_of_a_known_browser_cannot_be_forged(client, person):
    guess(times=5)
    client.cookies["known-device"] = '["alice","me"]:1uX9:forged'

    assert sign_in(client).status_code == 429


def test_the_mark_of_a_known_browser_is_shown_to_the_sign_in_page_alone(client, person):
    cookie = sign_in(client).cookies["known-device"]

    assert (cookie["path"], cookie["httponly"], cookie["samesite"]) == (
        "/login/",
        True,
        "Lax",
    )
    assert PASSWORD not in cookie.value


def test_one_address_that_tries_many_names_has_to_pause(client, person):
    names = [f"name{number}" for number in range(31)]

    answers = [guess(name=name, times=1).status_code for name in names]

    assert answers == [200] * 30 + [429]


def test_a_header_that_anybody_can_send_makes_no_new_address(person):
    for number in range(5):
        guess(times=1, HTTP_X_FORWARDED_FOR=f"198.51.100.{number}")

    assert guess(times=1).status_code == 429


def test_behind_a_proxy_of_ours_what_it_has_seen_counts(client, person, settings):
    settings.TRUSTED_PROXIES = 1
    proxy = "10.0.0.1"
    for number in range(6):
        # What the client claims stands before what the proxy adds.
        seen = f"192.0.2.{number}, 198.51.100.9"
        refused = guess(proxy, times=1, HTTP_X_FORWARDED_FOR=seen)

    assert refused.status_code == 429
    assert sign_in(client, address=proxy, HTTP_X_FORWARDED_FOR="198.51.100.10")


def test_a_household_has_one_address_of_ipv6(person):
    for number in range(5):
        guess(address=f"2001:db8::{number}", times=1)

    assert guess(address="2001:db8::ffff", times=1).status_code == 429
    assert guess(address="2001:db8:0:1::1", times=1).status_code == 200


def test_signing_in_gives_a_new_session_so_that_nobody_knows_it_before(client, person):
    client.get("/login/")
    client.session["planted"] = True
    client.session.save()
    before = client.session.session_key

    sign_in(client)

    assert client.session.session_key != before


@pytest.mark.parametrize(
    "elsewhere",
    [
        "https://evil.example/",
        "//evil.example/",
        "/\\evil.example",
        "javascript:alert(1)",
    ],
)
def test_nobody_is_led_elsewhere_after_signing_in_or_out(client, person, elsewhere):
    known = {"username": "alice", "password": PASSWORD, "next": elsewhere}

    assert client.post("/login/", known)["Location"] == "/"
    assert client.post("/logout/", {"next": elsewhere})["Location"] == "/login/"


def test_the_admin_has_no_sign_in_of_its_own(client, person):
    response = client.get(reverse("admin:login"), {"next": "/admin/jobs/job/"})

    assert response["Location"] == "/login/?next=/admin/jobs/job/"
    assert client.post(reverse("admin:login")).status_code == 302


def test_whoever_is_no_staff_is_told_so_by_the_admin(client, alice):
    client.force_login(alice)

    assert client.get("/admin/", follow=True).status_code == 403


def test_an_empty_form_costs_no_try(client, person):
    for _ in range(8):
        assert sign_in(client, password="").status_code == 200

    assert "Give name and password" in sign_in(client, password="").text
    assert sign_in(client).status_code == 302
