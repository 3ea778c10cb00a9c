"""Mail of an account: to its address, once by its id, and said plainly."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User

from apps.jobs import ledger
from apps.jobs.models import Job, Notice, Subscription
from apps.pipeline.telling import tell
from contract.errors import ErrorCode, StereoSpotError
from contract.notices import NoticeKind
from stereospot.embedded import free_port
from tests.concurrency import at_once

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def opted_in(alice, settings) -> Subscription:
    """Alice wants mail of the ends of her films."""
    settings.EMAIL_HOST = "mail.example"
    settings.SITE_URL = "https://films.example"
    User.objects.filter(pk=alice.pk).update(email="alice@home.example")
    kinds = [NoticeKind.COMPLETED, NoticeKind.FAILED]
    return Subscription.objects.create(owner=alice, channel="mail", kinds=kinds)


def fail(job: Job) -> None:
    segment = ledger.claim_segment(job.pk, 1)
    error = StereoSpotError(ErrorCode.DISK_FULL, "The disk is full: make room.")
    ledger.fail_segment(segment, error)


def test_a_film_that_failed_is_told_with_what_to_do_and_a_link(
    job, opted_in, mailoutbox
):
    fail(job)

    assert tell(Notice.objects.get().pk) is True

    (mail,) = mailoutbox
    assert mail.to == ["alice@home.example"]
    assert mail.subject == "“Rain” has failed"
    assert "The disk is full: make room." in mail.body
    assert f"https://films.example/jobs/{job.pk}/" in mail.body
    assert "https://films.example/account/#notifications" in mail.body


def test_a_doubled_message_sends_one_mail(job, opted_in, mailoutbox):
    fail(job)
    notice = Notice.objects.get()

    told = at_once([lambda: tell(notice.pk)] * 4)

    assert sorted(told) == [False, False, False, True]
    assert len(mailoutbox) == 1
    assert tell(notice.pk) is False


def test_a_mail_sent_again_after_a_crash_is_the_same_to_a_mailbox(
    job, opted_in, mailoutbox
):
    fail(job)
    notice = Notice.objects.get()
    tell(notice.pk)
    # As if the worker had died before it could say so.
    Notice.objects.update(sent_at=None, due_at=notice.due_at)
    tell(notice.pk)

    first, second = (mail.message()["Message-ID"] for mail in mailoutbox)
    assert first == second == f"<{notice.pk}@films.example>"


def test_a_title_cannot_write_headers(job, opted_in, mailoutbox):
    Job.objects.update(title="Rain\r\nBcc: charlie@home.example\r\n\r\nBuy")
    fail(job)

    assert tell(Notice.objects.get().pk) is True

    assert mailoutbox[0].subject.startswith("“Rain Bcc: charlie@home.example Buy”")
    assert mailoutbox[0].recipients() == ["alice@home.example"]


def test_what_was_not_asked_for_is_not_told(job, opted_in):
    ledger.cancel(job.pk)

    assert not Notice.objects.exists()


def test_nobody_else_s_films_are_told(job, opted_in, charlie):
    Job.objects.update(owner=charlie)
    fail(job)

    assert not Notice.objects.exists()


def test_a_mail_server_that_is_away_is_asked_again_later(job, opted_in, settings):
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", free_port()
    fail(job)

    assert tell(Notice.objects.get().pk) is False

    notice = Notice.objects.get()
    assert notice.due_at is not None
    assert notice.sent_at is None
    assert notice.answer.startswith("The mail server: ")


@pytest.mark.parametrize(
    ("setting", "email", "says"),
    [
        ("", "alice@home.example", "This site sends no mail."),
        ("mail.example", "", "The account has no address."),
    ],
)
def test_mail_that_cannot_be_sent_says_why(
    job, opted_in, settings, setting, email, says, mailoutbox
):
    settings.EMAIL_HOST = setting
    User.objects.update(email=email)
    fail(job)

    tell(Notice.objects.get().pk)

    assert Notice.objects.get().answer == says
    assert mailoutbox == []
