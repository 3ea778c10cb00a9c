"""Let a person's webhook be told, from the page or by the API."""

from __future__ import annotations

import ipaddress
import secrets

from django.conf import settings
from django.contrib.auth.models import User
from django.db.models import QuerySet
from pydantic import HttpUrl, TypeAdapter, ValidationError

from apps.jobs.models import Subscription
from apps.pipeline.channels.public import is_allowed
from contract.errors import ErrorCode, StereoSpotError
from contract.notices import NoticeKind

MOST_WEBHOOKS = 10
"""Of one person."""
LONGEST = 500
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


def _checked(address: str) -> str:
    try:
        url = _URL.validate_python(address.strip())
    except ValidationError as error:
        raise _refused("This is no https:// address.") from error
    if url.scheme != "https" and not settings.WEBHOOK_PRIVATE_ADDRESSES:
        raise _refused("Webhooks go over https:// only.")
    if url.username or url.password or url.fragment:
        raise _refused("Leave out the password and what follows a #.")
    if _is_private(url.host or ""):
        raise _refused("Webhooks go to public addresses only.")
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
