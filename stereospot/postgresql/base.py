"""Django's PostgreSQL, for a server whose password somebody else changes.

RDS keeps the password in Secrets Manager, and changes it there. A process has been given
it as `PGPASSWORD`, which libpq reads at each new connection, Django's or not. When it is
refused, the secret (`DATABASE_SECRET_ARN`) is read again.
"""

from __future__ import annotations

import json
import os
from typing import Any

import boto3
import structlog
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from django.conf import settings
from django.db.backends.postgresql import base
from psycopg import OperationalError

log = structlog.get_logger(__name__)

PATIENCE = Config(connect_timeout=3, read_timeout=5, retries={"total_max_attempts": 2})


class DatabaseWrapper(base.DatabaseWrapper):
    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        try:
            return super().get_new_connection(conn_params)
        except OperationalError:
            if not _renewed():
                raise
            return super().get_new_connection(conn_params)


def _renewed() -> bool:
    """Whether the secret has another password than we had; it is ours from now on."""
    try:
        client = boto3.client(
            "secretsmanager", region_name=settings.AWS_REGION, config=PATIENCE
        )
        answer = client.get_secret_value(SecretId=settings.DATABASE_SECRET_ARN)
        password = str(json.loads(answer["SecretString"])["password"])
    except (BotoCoreError, ClientError, ValueError, KeyError) as error:
        # Not the text: it may have part of the secret.
        log.warning("no password of the database", reason=type(error).__name__)
        return False
    if password == os.environ.get("PGPASSWORD"):
        return False
    os.environ["PGPASSWORD"] = password
    log.info("the database has a new password")
    return True
