"""Which network addresses are everybody's, for connections that strangers ask for."""

from __future__ import annotations

import ipaddress

_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
"""IPv4 addresses, spelled as IPv6 ones for networks without IPv4 (RFC 6052)."""


def is_public(address: str) -> bool:
    """Whether an IP address is none of this machine, its network, or a cloud's metadata.

    Raises `ValueError` for what is no address.
    """
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        within = ip.ipv4_mapped or ip.sixtofour
        if ip in _NAT64:
            within = ipaddress.IPv4Address(int(ip) & 0xFFFF_FFFF)
        if within is not None:
            return is_public(str(within))
    return ip.is_global and not ip.is_multicast
