"""RDS changes its password, and nobody has to restart anything."""

from __future__ import annotations

import json
import os

import boto3
import pytest
from django.db import connections
from django.db.backends.postgresql import base
from moto import mock_aws
from psycopg import OperationalError as Refused

from stereospot.postgresql.base import DatabaseWrapper


@pytest.fixture
def secret(monkeypatch, settings):
    """Puts a password into the secret that the settings name."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    with mock_aws():
        client = boto3.client("secretsmanager", region_name=settings.AWS_REGION)
        arn = client.create_secret(Name="ledger", SecretString="{}")["ARN"]
        settings.DATABASE_SECRET_ARN = arn

        def put(text: str) -> None:
            client.put_secret_value(SecretId=arn, SecretString=text)

        yield put


@pytest.fixture
def server(monkeypatch):
    """Lets in who knows its password; and who came with which."""
    seen, knows = [], {"password": "old"}

    def connect(self, conn_params):
        seen.append(os.environ["PGPASSWORD"])
        if seen[-1] != knows["password"]:
            raise Refused("password authentication failed")
        return "connected"

    monkeypatch.setattr(base.DatabaseWrapper, "get_new_connection", connect)
    monkeypatch.setenv("PGPASSWORD", "old")
    return knows, seen


@pytest.fixture
def wrapper():
    return DatabaseWrapper(connections["default"].settings_dict)


def rds(password: str) -> str:
    return json.dumps({"username": "stereospot", "password": password})


def test_a_password_that_was_changed_is_read_again_once(secret, server, wrapper):
    knows, seen = server
    knows["password"] = "new"
    secret(rds("new"))

    assert wrapper.get_new_connection({}) == "connected"
    assert wrapper.get_new_connection({}) == "connected"
    assert seen == ["old", "new", "new"]


def test_a_database_that_is_away_is_not_asked_twice(secret, server, wrapper):
    knows, seen = server
    knows["password"] = None
    secret(rds("old"))

    with pytest.raises(Refused):
        wrapper.get_new_connection({})
    assert seen == ["old"]


@pytest.mark.parametrize("text", ["no JSON: hunter2", "{}"])
def test_a_secret_that_makes_no_sense_is_no_password_and_no_log_line(
    text, secret, server, wrapper, capsys
):
    server[0]["password"] = "new"
    secret(text)

    with pytest.raises(Refused):
        wrapper.get_new_connection({})
    assert "hunter2" not in "".join(capsys.readouterr())
