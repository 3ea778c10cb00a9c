"""The page “API”: tokens and webhooks of a person, made, shown once, taken away."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils.timezone import now

from apps.jobs import ledger, tokens
from apps.jobs.models import ApiToken, Notice, Subscription
from apps.pipeline.channels import webhook
from contract.notices import NoticeKind

PAGE = "/account/api/"


@pytest.fixture
def at_page(client, alice):
    client.force_login(alice)
    return client


def make_token(client, name: str = "Cutting room", days: int = 30):
    return client.post(reverse("token-make"), {"name": name, "days": days})


def add_webhook(client, url: str = "https://hook.example/told"):
    return client.post(reverse("webhook-add"), {"url": url})


def test_a_token_that_was_made_opens_the_api_and_is_shown_once(at_page, alice):
    response = make_token(at_page)

    (token,) = set(re.findall(r"stereospot_\w{38}", response.text))
    assert tokens.owner_of(token) == alice
    assert response["Cache-Control"] == "no-store"
    later = at_page.get(PAGE).text
    assert token not in later
    assert "Cutting room" in later


@pytest.mark.parametrize(("days", "ends"), [(30, True), (0, False)])
def test_a_token_ends_when_its_owner_said(at_page, days, ends):
    make_token(at_page, days=days)

    expires_at = ApiToken.objects.get().expires_at
    assert (expires_at is not None) == ends
    if expires_at:
        assert abs(expires_at - now() - timedelta(days=30)) < timedelta(minutes=1)


def test_a_token_wants_a_name(at_page):
    response = make_token(at_page, name="")

    assert response.status_code == 422
    assert "Give the token a name." in response.text
    assert not ApiToken.objects.exists()


def test_a_revoked_token_opens_nothing(at_page, alice):
    row, token = tokens.make(alice, "lost", None)

    at_page.post(reverse("token-revoke", args=[row.pk]))

    assert tokens.owner_of(token) is None


def test_nobody_makes_tokens_without_end(at_page, alice, monkeypatch):
    monkeypatch.setattr("apps.jobs.views.programs.MOST_TOKENS", 1)
    make_token(at_page)

    assert "revoke one first" in make_token(at_page).text
    assert ApiToken.objects.count() == 1


@pytest.mark.parametrize("name", ["token-revoke", "webhook-remove"])
def test_what_is_another_persons_cannot_be_taken_away(client, charlie, alice, name):
    token, _ = tokens.make(alice, "hers", None)
    hook = Subscription.objects.create(
        owner=alice, channel="webhook", target="https://a.example/", kinds=[]
    )
    client.force_login(charlie)
    pk = token.pk if name == "token-revoke" else hook.pk

    assert client.post(reverse(name, args=[pk])).status_code == 404

    assert ApiToken.objects.exists()
    assert Subscription.objects.exists()
    assert "a.example" not in client.get(PAGE).text


@pytest.mark.parametrize("name", ["token-make", "webhook-add"])
def test_nothing_is_made_without_the_pages_own_form(alice, name):
    from django.test import Client

    client = Client(enforce_csrf_checks=True)
    client.force_login(alice)

    response = client.post(
        reverse(name), {"name": "x", "days": 0, "url": "https://a.example/"}
    )

    assert response.status_code == 403


def test_a_webhook_is_told_of_every_end_and_its_secret_is_shown_once(at_page, alice):
    response = add_webhook(at_page)

    made = Subscription.objects.get()
    assert (made.owner, made.kinds) == (alice, list(NoticeKind))
    secret = webhook.secret(made)
    assert secret in response.text
    later = at_page.get(PAGE).text
    assert secret not in later
    assert "https://hook.example/told" in later


def test_two_webhooks_have_two_secrets(at_page):
    add_webhook(at_page)
    add_webhook(at_page, "https://other.example/")

    first, second = Subscription.objects.all()
    assert webhook.secret(first) != webhook.secret(second)


@pytest.mark.parametrize(
    "url",
    [
        "nonsense",
        "ftp://a.example/",
        "http://a.example/",
        "https://a:b@a.example/",
        "https://a.example/#part",
        "https://127.0.0.1/",
        "https://[::1]/",
        "https://169.254.169.254/latest/meta-data/",
        f"https://a.example/{'x' * 1000}",
        "javascript:alert(1)",
    ],
)
def test_an_address_that_cannot_be_told_is_refused(at_page, url):
    response = add_webhook(at_page, url)

    assert response.status_code == 422
    assert 'class="problem"' in response.text
    assert not Subscription.objects.exists()


def test_one_address_is_told_once(at_page):
    add_webhook(at_page)

    assert "told already" in add_webhook(at_page).text
    assert Subscription.objects.count() == 1


def test_a_removed_webhook_takes_its_log_along(at_page, job):
    add_webhook(at_page)
    ledger.cancel(job.pk)

    at_page.post(reverse("webhook-remove", args=[Subscription.objects.get().pk]))

    assert not Notice.objects.exists()


def test_the_page_says_what_was_told_and_what_went_wrong(at_page, job):
    add_webhook(at_page)
    ledger.cancel(job.pk)
    ledger.note_untold(ledger.claim_notice(Notice.objects.get().pk), "HTTP 500")

    page = at_page.get(PAGE).text

    assert "job.cancelled: Rain" in page
    assert "HTTP 500" in page
    assert "Failing since" in page


def test_a_stopped_webhook_says_so(at_page, job):
    add_webhook(at_page)
    ledger.cancel(job.pk)
    notice = ledger.claim_notice(Notice.objects.get().pk)

    ledger.note_untold(notice, "HTTP 410", gone=True)

    assert "Stopped" in at_page.get(PAGE).text


def test_the_name_of_a_token_and_of_a_film_are_text(at_page, job):
    make_token(at_page, name="<script>1</script>")
    job.title = "映画<script>.mp4"
    job.save(update_fields=["title"])
    add_webhook(at_page)
    ledger.cancel(job.pk)

    page = at_page.get(PAGE).text

    assert "<script>" not in page
    assert "映画&lt;script&gt;.mp4" in page
