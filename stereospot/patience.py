"""How long a process waits for a database that says nothing."""

from __future__ import annotations

from typing import Any

from psycopg.conninfo import conninfo_to_dict, make_conninfo

# A database whose host vanishes says nothing. Without these a worker would wait for
# hours, and the server as long keep the locks of a worker that vanished.
PATIENCE = {
    "connect_timeout": "5",  # seconds
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "15000",  # milliseconds
    "options": "-c tcp_keepalives_idle=10 -c tcp_keepalives_interval=5 "
    "-c tcp_keepalives_count=3 -c lock_timeout=10s -c statement_timeout=60s "
    "-c idle_in_transaction_session_timeout=60s",
}


def conninfo(url: str) -> str:
    """For who connects without Django; what the URL says goes first."""
    return make_conninfo(**_facts(url))


def database(url: str, *, rotated: bool = False) -> dict[str, Any]:
    """The same as an entry of Django's `DATABASES`; `rotated`: its password changes."""
    facts = _facts(url)
    stock = "django.db.backends.postgresql"
    return {
        "ENGINE": "stereospot.postgresql" if rotated else stock,
        "NAME": facts.pop("dbname"),
        "USER": facts.pop("user", ""),
        "PASSWORD": facts.pop("password", ""),
        "HOST": facts.pop("host", ""),
        "PORT": facts.pop("port", ""),
        "OPTIONS": facts,
        "CONN_MAX_AGE": 60,
        "CONN_HEALTH_CHECKS": True,
    }


def _facts(url: str) -> dict[str, Any]:
    return {"dbname": "stereospot"} | PATIENCE | conninfo_to_dict(url)
