from __future__ import annotations

import json
from pathlib import Path

import boto3
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from huggingface_hub import constants
from moto import mock_aws

from contract.errors import ErrorCode
from inference.weights import token

REGION = "eu-west-1"


class Vault:
    """Secrets Manager, with one secret in it."""

    def __init__(self) -> None:
        self._client = boto3.client("secretsmanager", region_name=REGION)
        made = self._client.create_secret(Name="hub", SecretString="REPLACE_ME")
        self.arn = made["ARN"]

    def put(self, text: str) -> None:
        self._client.put_secret_value(SecretId=self.arn, SecretString=text)


@pytest.fixture(autouse=True)
def nobody(tmp_path: Path, monkeypatch) -> None:
    """A machine that knows no token, and has a role at AWS."""
    for name in (token.VARIABLE, token.SECRET, "AWS_PROFILE", "AWS_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "token"))


@pytest.fixture
def vault(monkeypatch):
    with mock_aws():
        vault = Vault()
        monkeypatch.setenv(token.SECRET, vault.arn)
        yield vault


def test_a_machine_without_a_token_has_none_and_no_fault():
    found = token.read()

    assert found.value is None
    assert found.fault is None


def test_the_variable_goes_before_the_secret(vault, monkeypatch):
    vault.put("hf_secret")
    monkeypatch.setenv(token.VARIABLE, " hf_variable\n")

    assert token.read().value == "hf_variable"


@pytest.mark.parametrize("name", token.FIELDS)
def test_a_secret_may_be_json(vault, name):
    vault.put(json.dumps({"user": "alice", name: "hf_right"}))

    assert token.read().value == "hf_right"


@pytest.mark.parametrize("text", ["hf_right", '"hf_right"', "hf_right\n"])
def test_a_secret_may_be_a_plain_string(vault, text):
    vault.put(text)

    assert token.read().value == "hf_right"


def test_a_secret_that_was_changed_is_read_anew(vault):
    vault.put("hf_old")
    assert token.read().value == "hf_old"
    vault.put("hf_new")

    assert token.read().value == "hf_new"


@pytest.mark.parametrize("text", ["REPLACE_ME", '{"token": "REPLACE_ME"}', "changeme"])
def test_a_placeholder_is_no_token_and_is_called_what_it_is(vault, text):
    vault.put(text)

    found = token.read()

    assert found.value is None
    assert found.fault.code is ErrorCode.WEIGHTS_FORBIDDEN
    assert "is a placeholder" in found.fault.message


def test_a_placeholder_in_the_variable_is_no_token_either(monkeypatch):
    monkeypatch.setenv(token.VARIABLE, "REPLACE_ME")

    assert token.read().value is None
    assert token.read().fault.message.startswith("HF_TOKEN is a placeholder")


@pytest.mark.parametrize(
    "text", [" ", "{}", '{"token": ""}', '{"cookies": "c"}', "[]", "7"]
)
def test_a_secret_without_a_token_says_how_to_put_one_there(vault, text):
    vault.put(text)

    found = token.read()

    assert found.value is None
    assert found.fault.code is ErrorCode.WEIGHTS_FORBIDDEN
    assert "`hf_token`" in found.fault.message


def test_a_secret_that_is_not_there_is_the_operators_to_mend(vault, monkeypatch):
    monkeypatch.setenv(token.SECRET, vault.arn.replace(":hub", ":bulb"))

    assert token.read().fault.code is ErrorCode.WEIGHTS_FORBIDDEN
    assert "ResourceNotFoundException" in token.read().fault.message


def refuse(monkeypatch, error: Exception) -> None:
    """Let Secrets Manager answer with the error."""

    class Client:
        def get_secret_value(self, **_: str) -> None:
            raise error

    monkeypatch.setattr(boto3, "client", lambda *_, **__: Client())
    monkeypatch.setenv(token.SECRET, f"arn:aws:secretsmanager:{REGION}:1:secret:hub")


def answer(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": ""}}, "GetSecretValue")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (answer("AccessDeniedException"), ErrorCode.WEIGHTS_FORBIDDEN),
        (answer("ThrottlingException"), ErrorCode.WEIGHTS_UNREACHABLE),
        (EndpointConnectionError(endpoint_url="x"), ErrorCode.WEIGHTS_UNREACHABLE),
    ],
)
def test_who_must_act_depends_on_why_the_secret_cannot_be_read(
    monkeypatch, error, code
):
    refuse(monkeypatch, error)

    assert token.read().fault.code is code


def test_no_token_shows_in_a_representation(vault):
    vault.put("hf_right")

    assert "hf_right" not in repr(token.read())
