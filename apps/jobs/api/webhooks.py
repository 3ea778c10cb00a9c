"""Webhooks: who is told, and what they were told."""

from __future__ import annotations

from django.shortcuts import get_object_or_404
from ninja import Router, Status

from apps.jobs import ledger, subscribing
from apps.jobs.api.access import TokenRequest
from apps.jobs.api.problems import answers
from apps.jobs.api.shapes import (
    Delivery,
    MadeWebhook,
    NewWebhook,
    Webhook,
    WebhookDetail,
)
from apps.jobs.models import Subscription
from apps.pipeline.channels import webhook

router = Router(tags=["Webhooks"])

SHOWN = 20


@router.get("", response=answers(200, list[Webhook]))
def list_webhooks(request: TokenRequest) -> list[Webhook]:
    """Those of yours: at most ten."""
    mine = subscribing.webhooks_of(request.auth)
    return [Webhook(**_facts(each)) for each in mine]


@router.post("", response=answers(201, MadeWebhook, 413, 422))
def add_webhook(request: TokenRequest, new: NewWebhook) -> Status[MadeWebhook]:
    """Tell this address when one of your jobs is over, signed as Standard Webhooks says."""
    made = subscribing.add_webhook(request.auth, new.url)
    return Status(201, MadeWebhook(**_facts(made), secret=webhook.secret(made)))


@router.get("/{int:webhook_id}", response=answers(200, WebhookDetail, 404))
def show_webhook(request: TokenRequest, webhook_id: int) -> WebhookDetail:
    """The webhook, and what it was told."""
    mine = _asked(request, webhook_id)
    deliveries = [
        Delivery(
            id=webhook.message_id(notice),
            body=notice.get_body(),
            state=notice.state,
            attempts=notice.attempts,
            answer=notice.answer,
            due_at=notice.due_at,
        )
        for notice in mine.notices.all()[:SHOWN]
    ]
    return WebhookDetail(**_facts(mine), deliveries=deliveries)


@router.delete("/{int:webhook_id}", response=answers(204, None, 404))
def remove_webhook(request: TokenRequest, webhook_id: int) -> Status[None]:
    """Tell it nothing more."""
    ledger.unsubscribe(_asked(request, webhook_id).pk)
    return Status(204, None)


def _asked(request: TokenRequest, webhook_id: int) -> Subscription:
    """Only one's own, also for staff: others' addresses are nobody's business."""
    return get_object_or_404(subscribing.webhooks_of(request.auth), pk=webhook_id)


def _facts(of: Subscription) -> dict[str, object]:
    return {
        "id": of.pk,
        "url": of.target,
        "failing_since": of.failing_since,
        "stopped_at": of.stopped_at,
    }
