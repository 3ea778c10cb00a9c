"""The token that the hub knows us by: `HF_TOKEN`, or the secret that `HF_TOKEN_ARN` names.

It is read anew each time that something has to be fetched, so a token that was changed
needs no restart. It is in no log, message or `repr`.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass, field

from huggingface_hub import get_token

from contract.errors import ErrorCode, StereoSpotError

VARIABLE = "HF_TOKEN"
SECRET = "HF_TOKEN_ARN"  # noqa: S105 (the name of a variable)
FIELDS = ("token", "hf_token", "HF_TOKEN")
"""Of a secret that is JSON: the first that it has is the token."""
PLACEHOLDERS = frozenset({"replace_me", "replaceme", "changeme", "change_me", "todo"})
"""In lower case: what set-up scripts write until a person puts a token there."""
USABLE = re.compile(r"[!-~]+")
"""What a request can carry: printable ASCII, without blanks."""
PASSING = frozenset(
    {
        "InternalServiceError",
        "ThrottlingException",
        "RequestTimeout",
        "ServiceUnavailable",
    }
)
"""Secrets Manager's errors that go away by themselves."""


@dataclass(frozen=True, slots=True)
class Token:
    value: str | None = field(repr=False)
    """None where there is no token, or none that can be used: see `fault`."""
    source: str
    """Where it comes from, for people."""
    fault: StereoSpotError | None = None
    """Why the token that was named cannot be used.

    Not raised here: weights that anybody may have need no token. WEIGHTS_FORBIDDEN, or
    WEIGHTS_UNREACHABLE when Secrets Manager does not answer.
    """


def read() -> Token:
    """The token to use now; of a login on this machine where the environment names none."""
    if given := os.environ.get(VARIABLE, "").strip():
        return _checked(given, VARIABLE)
    if arn := os.environ.get(SECRET, "").strip():
        try:
            return _checked(_of_secret(arn), f"the secret of {SECRET}")
        except StereoSpotError as fault:
            return Token(None, SECRET, fault)
    if login := get_token():
        return _checked(login, "this machine's login")
    return Token(None, VARIABLE)


def _checked(value: str, source: str) -> Token:
    if value.lower() in PLACEHOLDERS:
        return Token(
            None, source, _forbidden(f"{source} is a placeholder: put a token there.")
        )
    if not USABLE.fullmatch(value):
        # An error of the client would show it.
        fault = f"{source} has characters in it that no token has: set it again."
        return Token(None, source, _forbidden(fault))
    return Token(value, source)


def _of_secret(arn: str) -> str:
    """What the secret holds as a token.

    StereoSpotError: WEIGHTS_FORBIDDEN where there is none for us, WEIGHTS_UNREACHABLE
    where Secrets Manager does not answer.
    """
    text = _secret(arn)
    try:
        held = json.loads(text)
    except ValueError:
        held = text
    if isinstance(held, dict):
        held = next((held[name] for name in FIELDS if held.get(name)), None)
    if not isinstance(held, str) or not held.strip():
        raise _forbidden(
            f"The secret of {SECRET} holds no token: put it there as it is, or as JSON "
            f"in {', '.join(f'`{name}`' for name in FIELDS)}."
        )
    return held.strip()


def _secret(arn: str) -> str:
    # Late: most machines have no secret, and its import takes a while.
    import boto3
    from botocore.config import Config
    from botocore.exceptions import (
        BotoCoreError,
        ClientError,
        NoCredentialsError,
        NoRegionError,
    )

    parts = arn.split(":")
    region = parts[3] if len(parts) > 3 else os.environ.get("AWS_REGION")
    patience = Config(
        connect_timeout=5,
        read_timeout=10,
        retries={"mode": "standard", "total_max_attempts": 3},
    )
    try:
        client = boto3.client("secretsmanager", region_name=region, config=patience)
        text: str = client.get_secret_value(SecretId=arn).get("SecretString", "")
        return text
    except (NoCredentialsError, NoRegionError) as error:
        raise _forbidden(f"The secret of {SECRET} cannot be read: {error}") from error
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "")
        if code in PASSING:
            raise _unreachable(code) from error
        raise _forbidden(
            f"The secret of {SECRET} cannot be read ({code}): is it there, and may this "
            "machine's role read it (secretsmanager:GetSecretValue)?"
        ) from error
    except BotoCoreError as error:
        raise _unreachable(str(error)) from error


def _forbidden(message: str) -> StereoSpotError:
    return StereoSpotError(ErrorCode.WEIGHTS_FORBIDDEN, message)


def _unreachable(reason: str) -> StereoSpotError:
    return StereoSpotError(
        ErrorCode.WEIGHTS_UNREACHABLE, f"Secrets Manager does not answer ({reason})."
    )
