"""Where a request comes from, as far as that can be believed."""

from __future__ import annotations

from ipaddress import IPv6Address, ip_address, ip_network

from django.conf import settings
from django.http import HttpRequest


def network_of(request: HttpRequest) -> str:
    """The client's address; of IPv6 the /64 that one household has to itself.

    Anybody may send X-Forwarded-For. Each proxy adds at its end whom it has seen, so only
    as many entries count, from the right, as there are proxies of ours.
    """
    proxies = settings.TRUSTED_PROXIES
    direct = str(request.META.get("REMOTE_ADDR", ""))
    hops = request.headers.get("X-Forwarded-For", "").split(",") if proxies else []
    # Fewer entries than proxies: it came past one of them.
    claimed = hops[-proxies].strip() if len(hops) >= proxies > 0 else direct
    return _network(claimed) or _network(direct) or "nowhere"


def _network(text: str) -> str | None:
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped:
            return str(address.ipv4_mapped)
        return str(ip_network((address, 64), strict=False))
    return str(address)
