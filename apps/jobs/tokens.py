"""Personal tokens for the API: made, shown once, and known again by their digest.

    stereospot_  32 letters and digits, 190 bits of chance  6 of a checksum

The beginning is for scanners that look for secrets in public code; by the checksum they
know a real one without asking us.
"""

from __future__ import annotations

import hashlib
import secrets
import string
import zlib
from datetime import datetime, timedelta

from django.contrib.auth.models import User
from django.db.models import Q
from django.utils.timezone import now

from apps.jobs.models import ApiToken

PREFIX = "stereospot_"
_DIGITS = string.digits + string.ascii_letters
_LENGTH, _CHECKED = 32, 6
_HINT = len(PREFIX) + 4
_USED = timedelta(minutes=1)


def make(owner: User, name: str, expires_at: datetime | None) -> tuple[ApiToken, str]:
    """A new token's row, and the token, which nobody can be shown again."""
    chance = "".join(secrets.choice(_DIGITS) for _ in range(_LENGTH))
    token = f"{PREFIX}{chance}{_checksum(chance)}"
    row = ApiToken.objects.create(
        owner=owner,
        name=name,
        digest=_digest(token),
        hint=token[:_HINT],
        expires_at=expires_at,
    )
    return row, token


def owner_of(token: str) -> User | None:
    """Whose token it is, if it may still be used; notes that it was."""
    if not _is_well_formed(token):
        return None
    valid = ApiToken.objects.filter(
        Q(expires_at=None) | Q(expires_at__gt=now()),
        digest=_digest(token),
        owner__is_active=True,
    )
    row = valid.select_related("owner").first()
    if row is None:
        return None
    if row.last_used_at is None or row.last_used_at < now() - _USED:
        ApiToken.objects.filter(pk=row.pk).update(last_used_at=now())
    return row.owner


def _is_well_formed(token: str) -> bool:
    chance, checksum = token[len(PREFIX) : -_CHECKED], token[-_CHECKED:]
    return (
        token.startswith(PREFIX)
        and len(chance) == _LENGTH
        and token.isascii()
        and checksum == _checksum(chance)
    )


def _checksum(chance: str) -> str:
    """CRC-32 in base 62, as GitHub's tokens have it."""
    number, digits = zlib.crc32(chance.encode()), ""
    for _ in range(_CHECKED):
        number, digit = divmod(number, len(_DIGITS))
        digits = _DIGITS[digit] + digits
    return digits


def _digest(token: str) -> str:
    """Plain and fast: what is as long and random as this cannot be guessed from it."""
    return hashlib.sha256(token.encode()).hexdigest()
