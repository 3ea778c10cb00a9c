"""What AWS refuses, sorted by who must act."""

from __future__ import annotations

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    NoAuthTokenError,
    NoCredentialsError,
    PartialCredentialsError,
    ProfileNotFound,
    TokenRetrievalError,
    UnauthorizedSSOTokenError,
)

from contract.errors import ErrorCode, StereoSpotError

_NO_CREDENTIALS = (
    NoAuthTokenError,
    NoCredentialsError,
    PartialCredentialsError,
    ProfileNotFound,
    TokenRetrievalError,
    UnauthorizedSSOTokenError,
)
_REFUSED = {
    "401",
    "403",
    "AccessDenied",
    "AccessDeniedException",
    "AllAccessDisabled",
    "ExpiredToken",
    "ExpiredTokenException",
    "Forbidden",
    "InvalidAccessKeyId",
    "InvalidClientTokenId",
    "InvalidSignatureException",
    "InvalidToken",
    "NoSuchBucket",
    "RequestTimeTooSkewed",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
}
"""Codes, or statuses where an answer has no body, that no second try changes."""


def code_of(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


def refusal(error: BotoCoreError | ClientError) -> StereoSpotError | None:
    """The operator's error that it is; None for what may pass by itself."""
    if isinstance(error, _NO_CREDENTIALS):
        told = f"This machine has no credentials that AWS takes: {error}"
    elif isinstance(error, ClientError) and code_of(error) in _REFUSED:
        told = f"AWS refuses it to the role or key that StereoSpot runs with: {error}"
    else:
        return None
    message = (
        f"{told.rstrip('.')}. docs/inference.md says what each role must be allowed."
    )
    return StereoSpotError(ErrorCode.MISCONFIGURED, message)
