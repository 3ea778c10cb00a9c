"""Where a person wants to be told of the ends of their jobs, and what is to be told."""

from __future__ import annotations

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from apps.jobs.models.job import Job
from contract.notices import Announcement, NoticeKind


class Subscription(models.Model):
    """One way of telling one person: a channel and an address on it."""

    class Channel(models.TextChoices):
        MAIL = "mail", "E-mail"
        PUSH = "push", "Notification"
        WEBHOOK = "webhook", "Webhook"

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE)
    channel = models.CharField(max_length=8, choices=Channel)
    target = models.CharField(max_length=1000, blank=True)
    """The address, as the channel spells it: of a webhook and a browser the URL; none for
    mail, which goes to the account's."""
    kinds = ArrayField(models.CharField(max_length=16))
    """Which `NoticeKind`s it is told."""
    details = models.JSONField(default=dict)
    """What else the channel must know to use the address."""
    created_at = models.DateTimeField(db_default=Now())
    failing_since = models.DateTimeField(null=True, editable=False)
    """Of the attempts since then none succeeded."""
    stopped_at = models.DateTimeField(null=True, editable=False)
    """Nothing more is told here: the address failed for days, or said that it is gone."""

    class Meta:
        ordering = (F("id").asc(),)
        constraints = (
            models.UniqueConstraint(
                fields=["owner", "channel", "target"], name="subscription_once"
            ),
        )

    def __str__(self) -> str:
        return f"{self.channel} {self.target}"


class Notice(models.Model):
    """One thing to be told over one subscription: an outbox, written by the ledger in the
    transaction in which the job ended."""

    id = models.UUIDField(primary_key=True, editable=False)
    """The same each time it is told, so that who is told twice can know."""
    subscription = models.ForeignKey(
        Subscription, models.CASCADE, related_name="notices"
    )
    job = models.ForeignKey(Job, models.SET_NULL, null=True)
    kind = models.CharField(max_length=16, choices=[(k, k) for k in NoticeKind])
    body = models.JSONField(editable=False)
    """`contract.notices.Announcement`: the job's row may be gone when it is sent."""
    created_at = models.DateTimeField(db_default=Now())
    due_at = models.DateTimeField(null=True, editable=False)
    """When it is to be told next; null: it was told, or given up."""
    attempts = models.PositiveSmallIntegerField(default=0)
    sent_at = models.DateTimeField(null=True, editable=False)
    answer = models.CharField(max_length=500, blank=True)
    """What the last attempt brought, in a few words."""

    class Meta:
        ordering = (F("created_at").desc(), F("id").desc())
        indexes = (
            models.Index(
                fields=["due_at"],
                name="notice_due",
                condition=Q(due_at__isnull=False),
            ),
            models.Index(
                fields=["subscription", "-created_at"], name="notice_of_subscription"
            ),
            models.Index(fields=["created_at"], name="notice_by_age"),
        )
        constraints = (
            models.CheckConstraint(
                name="notice_not_due_once_sent",
                condition=Q(sent_at=None) | Q(due_at=None),
            ),
        )

    def __str__(self) -> str:
        return f"{self.kind} over {self.subscription_id}"

    @property
    def state(self) -> str:
        """`told`, `due` or `given up`."""
        if self.sent_at is not None:
            return "told"
        return "due" if self.due_at is not None else "given up"

    def get_body(self) -> Announcement:
        return Announcement.model_validate(self.body)
