"""Webhooks over the API: one's own, with a secret that is said once."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User

from apps.jobs import ledger
from apps.jobs.models import Notice, Subscription
from apps.pipeline.channels import webhook
from tests.jobs.test_api import client_of, refused

WEBHOOKS = "/api/v1/webhooks"
URL = "https://hook.example/told"


@pytest.fixture
def hers(alice):
    return client_of(alice)


def add(client, url: str = URL):
    return client.post(WEBHOOKS, {"url": url}, content_type="application/json")


def test_a_webhook_is_made_and_its_secret_said_once(hers):
    made = add(hers)

    assert made.status_code == 201
    body = made.json()
    assert body["secret"] == webhook.secret(Subscription.objects.get())
    assert "secret" not in hers.get(WEBHOOKS).json()[0]
    assert "secret" not in hers.get(f"{WEBHOOKS}/{body['id']}").json()


@pytest.mark.parametrize("url", ["http://a.example/", "https://10.0.0.1/", "", "\0"])
def test_an_address_that_cannot_be_told_is_refused(hers, url):
    refused(add(hers, url), 422, "invalid-input")

    assert not Subscription.objects.exists()


def test_what_was_told_can_be_read(hers, job):
    made = add(hers).json()
    ledger.cancel(job.pk)
    notice = ledger.claim_notice(Notice.objects.get().pk)
    ledger.note_untold(notice, "HTTP 500")

    told = hers.get(f"{WEBHOOKS}/{made['id']}").json()

    assert told["failing_since"] is not None
    (delivery,) = told["deliveries"]
    assert (delivery["state"], delivery["attempts"]) == ("due", 1)
    assert delivery["answer"] == "HTTP 500"
    assert delivery["body"]["type"] == "job.cancelled"


@pytest.mark.parametrize("method", ["get", "delete"])
@pytest.mark.parametrize("is_staff", [False, True])
def test_a_webhook_of_somebody_else_does_not_exist(alice, method, is_staff):
    made = add(client_of(alice)).json()
    other = client_of(User.objects.create_user("other", is_staff=is_staff))

    refused(getattr(other, method)(f"{WEBHOOKS}/{made['id']}"), 404, "not-found")

    assert other.get(WEBHOOKS).json() == []
    assert Subscription.objects.exists()


def test_a_removed_webhook_is_told_nothing(hers, job):
    made = add(hers).json()

    assert hers.delete(f"{WEBHOOKS}/{made['id']}").status_code == 204

    ledger.cancel(job.pk)
    assert not Notice.objects.exists()


def test_there_are_not_more_than_ten(hers):
    for number in range(10):
        add(hers, f"https://hook.example/{number}")

    assert "remove one first" in refused(add(hers), 422, "invalid-input")["detail"]
