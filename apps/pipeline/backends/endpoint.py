"""A SageMaker endpoint, as far as asking it goes: calls, their errors, where answers lie."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
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
from apps.jobs.aws import code_of
from apps.pipeline.backends.calls import (
    AwayError,
    BrokenError,
    Reply,
    tls_refusal,
)
from contract.errors import ErrorCode, StereoSpotError

if TYPE_CHECKING:
    from mypy_boto3_sagemaker_runtime.type_defs import InvokeEndpointAsyncInputTypeDef

log = structlog.get_logger(__name__)

ANSWER_SECONDS = 70
"""A real-time endpoint answers within 60 s, or not at all."""
READ_SECONDS = 10
"""For every other call to be answered."""
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


class State(NamedTuple):
    status: str = ""
    """As SageMaker names it; empty: unknown."""
    machines: int | None = None
    """None: unknown."""

    @property
    def is_cold(self) -> bool:
        return self.status == "Creating" or self.machines == 0


class Endpoint:
    """The endpoint `name`; every call is one request, and lasts seconds at most, but for
    `ask`. Its methods may be called from many threads."""

    def __init__(self, name: str, region: str) -> None:
        self._name = name
        session = Session(region_name=region)
        self._runtime = session.client(
            "sagemaker-runtime", config=_once(ANSWER_SECONDS)
        )
        self._sender = session.client("sagemaker-runtime", config=_once(READ_SECONDS))
        self._control = session.client("sagemaker", config=_once(READ_SECONDS))
        self._asking = threading.Lock()
        self._state = State()
        self._asked_at = float("-inf")

    def ask(self, body: str, *, inference_id: str) -> Reply:
        """Ask and wait for the answer; raises `AwayError` and `BrokenError`."""
        with self._sorted():
            try:
                said = self._runtime.invoke_endpoint(
                    EndpointName=self._name,
                    ContentType="application/json",
                    Accept="application/json",
                    InferenceId=inference_id,
                    Body=body,
                )
            except ClientError as error:
                if code_of(error) != "ModelError":
                    raise
                return _said_by_the_model(error)
            return Reply(200, said["Body"].read().decode(errors="replace"))

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
        with self._sorted():
            said = self._sender.invoke_endpoint_async(**request)
        return Accepted(said["OutputLocation"], said.get("FailureLocation", ""))

    def state(self) -> State:
        """At most `KNOWN_SECONDS` old, or older while somebody else asks."""
        is_old = time.monotonic() - self._asked_at > KNOWN_SECONDS
        if is_old and self._asking.acquire(blocking=False):
            try:
                self._state = self._described()
                self._asked_at = time.monotonic()
            finally:
                self._asking.release()
        return self._state

    def _described(self) -> State:
        try:
            said = self._control.describe_endpoint(EndpointName=self._name)
        except (BotoCoreError, ClientError) as error:
            # The role may send without being allowed to look.
            log.warning("the endpoint's state is not known", reason=str(error))
            return State()
        variants = said.get("ProductionVariants", [])
        machines = sum(variant.get("CurrentInstanceCount", 0) for variant in variants)
        return State(said["EndpointStatus"], machines)

    @contextmanager
    def _sorted(self) -> Iterator[None]:
        """What passes by itself, from what somebody must mend."""
        try:
            yield
        except ClientError as error:
            status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
            if code_of(error) in _PASSING or status == 429 or status >= 500:
                raise AwayError(str(error)) from error
            if self.state().status in _SETTLING:
                raise AwayError(f"The endpoint is being changed: {error}") from error
            message = f"The endpoint {self._name} refuses: {error}"
            raise StereoSpotError(ErrorCode.MISCONFIGURED, message) from error
        except (ConnectTimeoutError, EndpointConnectionError) as error:
            raise AwayError(str(error)) from error
        except HTTPClientError as error:
            if (refused := tls_refusal(error)) is None:
                raise BrokenError(str(error)) from error
            message = f"No safe connection to SageMaker: {refused}."
            raise StereoSpotError(ErrorCode.MISCONFIGURED, message) from error


def _once(seconds: int) -> Config:
    """No second try of boto's own: what was asked twice may be paid twice, and lasts."""
    return Config(
        connect_timeout=5,
        read_timeout=seconds,
        retries={"mode": "standard", "total_max_attempts": 1},
        max_pool_connections=100,
    )


def _said_by_the_model(error: ClientError) -> Reply:
    status = error.response.get("OriginalStatusCode", 0)
    text = str(error.response.get("OriginalMessage", ""))
    if not text.lstrip().startswith("{"):  # the model's 60 s were over
        raise BrokenError(text or str(error)) from error
    return Reply(int(str(status)), text)


def fetched(uri: str) -> str | None:
    """The text of the object, or None when there is none yet; raises botocore's errors.

    "Forbidden" is an error, and nobody waits for it to pass: whoever may list the bucket,
    as our role must, is told of objects that are not there yet that they are not there.
    """
    place = urlsplit(uri)
    store = storage.result()
    if isinstance(store, storage.Disk):
        raise TypeError("an endpoint answers into a bucket")
    try:
        found = store.connection.meta.client.get_object(
            Bucket=place.netloc, Key=place.path.lstrip("/")
        )
    except ClientError as error:
        if code_of(error) in ("404", "NoSuchKey"):
            return None
        raise
    text: str = found["Body"].read().decode(errors="replace")
    return text
