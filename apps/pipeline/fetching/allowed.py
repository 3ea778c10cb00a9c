"""Which addresses films may be fetched from; nothing is asked for here."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from django.conf import settings

from contract.addresses import is_public
from contract.errors import ErrorCode, StereoSpotError
from contract.origins import LONGEST_URL, Link

ANY_HOST = "*"
NO_ADDRESS = "That is no address: copy it from the browser’s address bar."


def link_to(url: str, *, is_titled: bool = False) -> Link:
    """The link, if films may be fetched from there; raises LINK_REFUSED, with advice."""
    url = url.strip()
    if len(url) > LONGEST_URL or not url.isprintable():
        raise refused(NO_ADDRESS)
    link = Link(url=url, is_titled=is_titled)
    if (there := link.bucket_and_key) is not None:
        _check_object(*there)
        return link
    try:
        _check_page(url)
    except ValueError as error:
        raise refused(NO_ADDRESS) from error
    return link


def is_on() -> bool:
    """Whether films may be fetched from anywhere."""
    return bool(settings.INGEST_HOSTS or settings.INGEST_BUCKETS)


def refused(message: str) -> StereoSpotError:
    return StereoSpotError(ErrorCode.LINK_REFUSED, message)


def _check_page(url: str) -> None:
    """Raises `StereoSpotError`, and `ValueError` for what is no URL."""
    parts = urlsplit(url)
    if " " in url:
        raise refused(NO_ADDRESS)
    if parts.scheme not in ("http", "https"):
        raise refused("Only addresses that begin with https://, http:// or s3:// work.")
    if parts.username is not None or parts.password is not None:
        raise refused("Leave the name and the password out of the address.")
    host = (parts.hostname or "").rstrip(".").lower()
    if not host:
        raise refused("The address names no site: copy it again.")
    _ = parts.port
    _check_host(host)


def _check_host(host: str) -> None:
    allowed = settings.INGEST_HOSTS
    if not allowed:
        raise refused(
            "Films are not fetched from the web here: upload the file instead."
        )
    is_listed = any(host == name or host.endswith(f".{name}") for name in allowed)
    if not is_listed and ANY_HOST not in allowed:
        names = ", ".join(allowed)
        raise refused(
            f"Films are fetched from {names} only: upload the file instead, or ask for "
            f"{host} to be added."
        )
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return  # a name; what it leads to is looked at when it is connected to
    if not settings.INGEST_PRIVATE_ADDRESSES and not is_public(host):
        raise refused("That address lies inside this network.")


def _check_object(bucket: str, key: str) -> None:
    if not bucket or not key or key.endswith("/"):
        raise refused("An address in a bucket is s3://bucket/key of one object.")
    if bucket not in settings.INGEST_BUCKETS:
        raise refused(
            f"Films are not fetched from the bucket {bucket}: upload the file instead, "
            "or ask for the bucket to be added."
        )
