"""Mail to the address of the person's account."""

from __future__ import annotations

import smtplib
from urllib.parse import urlsplit

from django.conf import settings
from django.core.mail import EmailMessage
from django.urls import reverse

from apps.jobs.models import Notice
from apps.pipeline.channels import words
from apps.pipeline.channels.untold import UntoldError


def tell(notice: Notice) -> str:
    address = notice.subscription.owner.email
    if not settings.EMAIL_HOST:
        raise UntoldError("This site sends no mail.")
    if not address:
        raise UntoldError("The account has no address.")
    try:
        _message(notice, address).send()
    except (smtplib.SMTPException, OSError) as error:
        raise UntoldError(f"The mail server: {error}") from error
    return "Taken by the mail server"


def _message(notice: Notice, address: str) -> EmailMessage:
    told = notice.get_body()
    subject = f"“{words.title(told)}” {words.ending(told)}"
    lines = [f"{subject}.", ""]
    if told.data.error:
        lines += [told.data.error.message, ""]
    lines += [
        f"{settings.SITE_URL}{reverse('job', args=[told.data.id])}",
        "",
        "You asked for this mail. To get no more of them:",
        f"{settings.SITE_URL}{reverse('account')}#notifications",
    ]
    headers = {
        # The same each time it is sent, so that mailboxes know a doubled one.
        "Message-ID": f"<{notice.pk}@{urlsplit(settings.SITE_URL).hostname}>",
        "Auto-Submitted": "auto-generated",
    }
    return EmailMessage(subject, "\n".join(lines), to=[address], headers=headers)
