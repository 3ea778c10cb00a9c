"""How a notice reaches a person: a module for each channel.

Each has one function, which tells the notice and answers in a few words what it was told
back. It gives up within seconds, and raises `UntoldError` when it could not tell.
"""

from __future__ import annotations

from collections.abc import Callable

from apps.jobs.models import Notice, Subscription
from apps.pipeline.channels import mail, push, webhook

CHANNELS: dict[str, Callable[[Notice], str]] = {
    Subscription.Channel.MAIL: mail.tell,
    Subscription.Channel.PUSH: push.tell,
    Subscription.Channel.WEBHOOK: webhook.tell,
}
