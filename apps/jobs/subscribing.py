"""Where a person wants to be told: webhooks, by the page or the API, and browsers."""

from __future__ import annotations

import ipaddress
import secrets

from cryptography.hazmat.primitives.asymmetric import ec
from django.conf import settings
from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.utils.http import urlsafe_base64_decode, urlsafe_base64_encode
from pydantic import HttpUrl, TypeAdapter, ValidationError

from apps.jobs import ledger
from apps.jobs.models import Subscription
from apps.pipeline.channels.public import is_allowed
from contract.errors import ErrorCode, StereoSpotError
from contract.notices import NoticeKind

MOST_WEBHOOKS = 10
"""Of one person."""
MOST_BROWSERS = 20
"""Of one person."""
LONGEST = 1000
"""Characters of an address."""
_URL = TypeAdapter(HttpUrl)


def webhooks_of(owner: User) -> QuerySet[Subscription]:
    return Subscription.objects.filter(
        owner=owner, channel=Subscription.Channel.WEBHOOK
    )


def add_webhook(owner: User, address: str) -> Subscription:
    """Tell `address` of every end of the owner's jobs; raises `StereoSpotError`."""
    url = _checked(address)
    if webhooks_of(owner).count() >= MOST_WEBHOOKS:
        raise _refused(f"{MOST_WEBHOOKS} webhooks are the most: remove one first.")
    made, is_new = Subscription.objects.get_or_create(
        owner=owner,
        channel=Subscription.Channel.WEBHOOK,
        target=url,
        defaults={"kinds": list(NoticeKind), "details": {"salt": secrets.token_hex()}},
    )
    if not is_new:
        raise _refused("This address is told already.")
    return made


def push_of(owner: User) -> QuerySet[Subscription]:
    return Subscription.objects.filter(owner=owner, channel=Subscription.Channel.PUSH)


def add_push(owner: User, endpoint: str, keys: dict[str, str], name: str) -> None:
    """Tell the owner's browser when a job is completed or failed; raises
    `StereoSpotError`."""
    url = _checked(endpoint)
    if "\0" in name:
        raise _refused("The browser’s name makes no sense.")
    details = {**_checked_keys(keys), "name": name[:80]}
    channel = Subscription.Channel.PUSH
    # The browser is told of one person's jobs: theirs who has signed in last.
    others = Subscription.objects.filter(channel=channel, target=url)
    for other in others.exclude(owner=owner):
        ledger.unsubscribe(other.pk)
    known = push_of(owner)
    if known.exclude(target=url).count() >= MOST_BROWSERS:
        raise _refused(f"{MOST_BROWSERS} browsers are the most: remove one first.")
    kinds = [NoticeKind.COMPLETED, NoticeKind.FAILED]
    Subscription.objects.update_or_create(
        owner=owner,
        channel=channel,
        target=url,
        defaults={
            "kinds": kinds,
            "details": details,
            "failing_since": None,
            "stopped_at": None,
        },
    )


def _checked_keys(keys: dict[str, str]) -> dict[str, str]:
    """What `channels.push` encrypts with; it could not tell the person what is wrong.

    Spelt by us: what decodes may hold anything between its letters.
    """
    try:
        point = urlsafe_base64_decode(keys["p256dh"])
        ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
        secret = urlsafe_base64_decode(keys["auth"])
    except (KeyError, ValueError) as error:
        raise _refused("The browser’s keys make no sense.") from error
    if len(secret) != 16:
        raise _refused("The browser’s keys make no sense.")
    return {
        "p256dh": urlsafe_base64_encode(point),
        "auth": urlsafe_base64_encode(secret),
    }


def _checked(address: str) -> str:
    try:
        url = _URL.validate_python(address.strip())
    except ValidationError as error:
        raise _refused("This is no https:// address.") from error
    if url.scheme != "https" and not settings.WEBHOOK_PRIVATE_ADDRESSES:
        raise _refused("Only https:// addresses are taken.")
    if url.username or url.password or url.fragment:
        raise _refused("Leave out the password and what follows a #.")
    if _is_private(url.host or ""):
        raise _refused("Only public addresses are taken.")
    if len(str(url)) > LONGEST:
        raise _refused(f"An address has at most {LONGEST} characters.")
    return str(url)


def _is_private(host: str) -> bool:
    """What can be seen without a look-up; whoever connects looks again."""
    try:
        address = ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    return not is_allowed(str(address))


def _refused(message: str) -> StereoSpotError:
    return StereoSpotError(ErrorCode.INVALID_INPUT, message)
