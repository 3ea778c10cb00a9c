"""The API keeps what its own document promises, whatever it is asked."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import schemathesis
from django.test.client import Client, ClientHandler
from hypothesis import HealthCheck, given, settings
from schemathesis import Case
from schemathesis.specs.openapi.checks import positive_data_acceptance

from apps.jobs import subscribing, tokens
from apps.jobs.models import Job, Subscription

EXAMPLES = 20
"""Requests for each operation, always the same ones."""


@pytest.fixture(autouse=True)
def nobody_works(monkeypatch) -> None:
    for name in ("send_stage", "send_tidy", "send_retry"):
        monkeypatch.setattr(f"apps.pipeline.messages.{name}", lambda *args: None)


@pytest.fixture
def document(db) -> Any:
    handler = ClientHandler()

    def application(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        """The site, within the test's own transaction."""
        response = handler(environ)
        status = f"{response.status_code} {response.reason_phrase}"
        start_response(status, list(response.items()))
        return [response.content]

    return schemathesis.openapi.from_wsgi("/api/v1/openapi.json", application)


OPERATIONS = [
    "add_webhook",
    "address_part",
    "cancel_job",
    "complete_upload",
    "create_job",
    "delete_job",
    "list_events",
    "list_jobs",
    "list_segments",
    "list_uploads",
    "list_webhooks",
    "remove_webhook",
    "retry_job",
    "show_job",
    "show_offers",
    "show_playlist",
    "show_playlist_of_all",
    "show_result",
    "show_webhook",
]


OF_EVERYBODY = ("list_jobs", "list_webhooks", "show_offers", "show_playlist_of_all")


def operation_of(document: Any, name: str) -> Any:
    return document.find_operation_by_id(name)


def test_every_operation_is_asked(document):
    found = [each.ok() for each in document.get_all_operations()]

    assert sorted(o.definition.raw["operationId"] for o in found) == OPERATIONS


def requests(client: Client, job: Job, hook: Subscription) -> dict[str, Any]:
    """Each operation of the document, asked for by nobody yet, about what is Alice's."""
    document = client.get("/api/v1/openapi.json").json()
    asked = {}
    for path, methods in document["paths"].items():
        about = path.format(job_id=job.pk, webhook_id=hook.pk, kind="film", number=1)
        for method, operation in methods.items():
            asked[operation["operationId"]] = partial(client.generic, method, about)
    return asked


@pytest.mark.parametrize("name", OPERATIONS)
def test_nothing_is_said_to_whom_it_does_not_concern(client, alice, charlie, job, name):
    hook = subscribing.add_webhook(alice, "https://hook.example/")
    ask = requests(client, job, hook)[name]
    _, token = tokens.make(charlie, "his", None)

    assert ask().status_code == 401
    his = ask(headers={"Authorization": f"Bearer {token}"})

    if name in ("create_job", "add_webhook"):
        assert his.status_code == 422  # nothing was asked for
    elif name in OF_EVERYBODY:
        assert str(job.pk) not in his.text
        assert hook.target not in his.text
    else:
        assert his.status_code == 404
    job.refresh_from_db()
    assert job.status == Job.Status.CHUNKED
    assert Subscription.objects.filter(pk=hook.pk).exists()


@pytest.mark.parametrize("name", OPERATIONS)
def test_no_request_is_answered_otherwise_than_promised(document, alice, job, name):
    _, token = tokens.make(alice, "test", None)
    operation = operation_of(document, name)

    @given(case=operation.as_strategy())
    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    def ask(case: Case) -> None:
        if "job_id" in case.path_parameters:
            case.path_parameters["job_id"] = str(job.pk)
        case.call_and_validate(
            headers={"Authorization": f"Bearer {token}"},
            # What is well formed may still be refused, as a cursor that we never gave.
            excluded_checks=[positive_data_acceptance],
        )

    ask()
