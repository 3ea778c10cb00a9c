"""A SageMaker endpoint, as far as asking it goes: calls, their errors, where answers lie."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

import structlog
from boto3.session import Session
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    HTTPClientError,
)

from apps.jobs import storage
from apps.pipeline.backends.direct import AwayError, BrokenError, Reply
from contract.errors import ErrorCode, StereoSpotError

if TYPE_CHECKING:
    from mypy_boto3_sagemaker_runtime.type_defs import InvokeEndpointAsyncInputTypeDef

log = structlog.get_logger(__name__)

ANSWER_SECONDS = 70
"""A real-time endpoint answers within 60 s, or not at all."""
KNOWN_SECONDS = 30.0
"""How long what was found out of the endpoint's state is believed."""
_PASSING = {
    "InternalDependencyException",
    "InternalFailure",
    "ModelNotReadyException",
    "RequestLimitExceeded",
    "ServiceUnavailable",
    "ThrottledException",
    "Throttling",
    "ThrottlingException",
    "TooManyRequestsException",
}
"""Nothing was begun: to be asked again."""
_SETTLING = {"Creating", "Updating", "SystemUpdating", "RollingBack"}


class Accepted(NamedTuple):
    """Where the answer to an asynchronous invocation will lie."""

    success_uri: str
    failure_uri: str


class Endpoint:
    """The endpoint `name`; every call is one request, and lasts seconds at most, but for
    `ask`. Its methods may be called from many threads."""

    def __init__(self, name: str, region: str) -> None:
        self._name = name
        session = Session(region_name=region)
        self._runtime = session.client(
            "sagemaker-runtime",
            config=Config(
                connect_timeout=5,
                read_timeout=ANSWER_SECONDS,
                # None of boto's own: what was asked twice may be paid twice.
                retries={"mode": "standard", "total_max_attempts": 1},
                max_pool_connections=100,
            ),
        )
        self._control = session.client(
            "sagemaker", config=Config(connect_timeout=5, read_timeout=5)
        )
        self._asking = threading.Lock()
        self._known: tuple[float, str, int] | None = None

    def ask(self, body: str, *, inference_id: str) -> Reply:
        """Ask and wait for the answer; raises `AwayError` and `BrokenError`."""
        try:
            said = self._runtime.invoke_endpoint(
                EndpointName=self._name,
                ContentType="application/json",
                Accept="application/json",
                InferenceId=inference_id,
                Body=body,
            )
            return Reply(200, said["Body"].read().decode(errors="replace"))
        except ClientError as error:
            if _code(error) != "ModelError":
                raise self._sorted(error) from error
            status = error.response.get("OriginalStatusCode", 0)
            text = str(error.response.get("OriginalMessage", ""))
            if not text.lstrip().startswith("{"):  # the model's 60 s were over
                raise BrokenError(text or str(error)) from error
            return Reply(int(str(status)), text)
        except (ConnectTimeoutError, EndpointConnectionError) as error:
            raise AwayError(str(error)) from error
        except HTTPClientError as error:
            raise BrokenError(str(error)) from error

    def send(
        self, input_uri: str, *, inference_id: str, queue_seconds: int, seconds: int
    ) -> Accepted:
        """Let the endpoint do what the object at `input_uri` says, when it comes to it.

        It is kept for `queue_seconds` at most, and worked at for `seconds`. Raises
        `AwayError`, `BrokenError` when nobody knows whether it was accepted.
        """
        request: InvokeEndpointAsyncInputTypeDef = {
            "EndpointName": self._name,
            "ContentType": "application/json",
            "Accept": "application/json",
            "InputLocation": input_uri,
            "InferenceId": inference_id,
            "RequestTTLSeconds": queue_seconds,
            "InvocationTimeoutSeconds": seconds,
        }
        try:
            said = self._runtime.invoke_endpoint_async(**request)
        except ClientError as error:
            raise self._sorted(error) from error
        except (ConnectTimeoutError, EndpointConnectionError) as error:
            raise AwayError(str(error)) from error
        except HTTPClientError as error:
            raise BrokenError(str(error)) from error
        return Accepted(said["OutputLocation"], said.get("FailureLocation", ""))

    def is_cold(self) -> bool:
        """It has no machine at the moment, as far as we may know."""
        status, instances = self._state()
        return status == "Creating" or instances == 0

    def _state(self) -> tuple[str, int]:
        """Status and number of machines, at most `KNOWN_SECONDS` old; -1: unknown."""
        with self._asking:
            if self._known and time.monotonic() - self._known[0] < KNOWN_SECONDS:
                return self._known[1:]
            try:
                said = self._control.describe_endpoint(EndpointName=self._name)
            except (BotoCoreError, ClientError) as error:
                # The role may send without being allowed to look.
                log.warning("the endpoint's state is not known", reason=str(error))
                status, instances = "", -1
            else:
                variants = said.get("ProductionVariants", [])
                status = said["EndpointStatus"]
                instances = sum(v.get("CurrentInstanceCount", 0) for v in variants)
            self._known = time.monotonic(), status, instances
            return status, instances

    def _sorted(self, error: ClientError) -> AwayError | StereoSpotError:
        """What passes by itself, from what somebody must mend."""
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        if _code(error) in _PASSING or status == 429 or status >= 500:
            return AwayError(str(error))
        if self._state()[0] in _SETTLING:
            return AwayError(f"The endpoint is being changed: {error}")
        message = f"The endpoint {self._name} refuses: {error}"
        return StereoSpotError(ErrorCode.MISCONFIGURED, message)


def fetched(uri: str) -> str | None:
    """The text of the object, or None when there is none yet; raises botocore's errors."""
    place = urlsplit(uri)
    store = storage.result()
    if isinstance(store, storage.Disk):
        raise TypeError("an endpoint answers into a bucket")
    try:
        found = store.connection.meta.client.get_object(
            Bucket=place.netloc, Key=place.path.lstrip("/")
        )
    except ClientError as error:
        # Who may not list a bucket is told "forbidden" of objects that are not there.
        if _code(error) in ("404", "NoSuchKey", "403", "AccessDenied"):
            return None
        raise
    text: str = found["Body"].read().decode(errors="replace")
    return text


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))
