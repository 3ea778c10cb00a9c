"""Every variable that the inference server reads, apart from those of the engines."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AliasChoices, Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from contract.modes import Engine


class Settings(BaseSettings):
    model_config = SettingsConfigDict(env_ignore_empty=True)

    inference_token: SecretStr | None = None
    """What callers must present; unset: only this machine may call."""
    inference_insecure: bool = False
    """Listen on every address without a token: something in front decides who may call,
    as SageMaker does."""
    inference_engines: Annotated[list[Engine], NoDecode] = []
    """Loaded before `/ping` is green; the others when first asked for."""
    inference_queue: int = Field(default=1, ge=0, le=100)
    """Conversions that may wait for the one that runs."""
    inference_linger_seconds: float = Field(default=60.0, ge=0)
    """A conversion that nobody waits for any more is cancelled after so long, unless who
    asked for it has asked for another time."""
    inference_file_root: Path | None = None
    """`file://` URIs below it are taken; unset: none are."""
    source_bucket: str | None = None
    result_bucket: str | None = None
    aws_region: str = "us-east-1"
    shutdown_grace_seconds: float = Field(default=25.0, ge=1.0)
    """Between SIGTERM and SIGKILL; a little less than the platform gives."""
    port: int = Field(
        default=8080,
        ge=0,
        le=65535,
        validation_alias=AliasChoices("sagemaker_bind_to_port", "port"),
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"

    @model_validator(mode="before")
    @classmethod
    def _split_engines(cls, values: dict[str, object]) -> dict[str, object]:
        if isinstance(text := values.get("inference_engines"), str):
            names = [part.strip() for part in text.split(",") if part.strip()]
            return values | {"inference_engines": names}
        return values

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if bool(self.source_bucket) != bool(self.result_bucket):
            raise ValueError("set both SOURCE_BUCKET and RESULT_BUCKET, or neither")
        if not (self.source_bucket or self.inference_file_root):
            raise ValueError(
                "set SOURCE_BUCKET and RESULT_BUCKET, or INFERENCE_FILE_ROOT: without "
                "them there is nothing that may be converted"
            )
        return self

    @property
    def is_local(self) -> bool:
        """Only this machine may call: nothing else says who may."""
        return not (self.inference_token or self.inference_insecure)

    @property
    def host(self) -> str:
        """The address to listen on."""
        return "127.0.0.1" if self.is_local else "0.0.0.0"  # noqa: S104 (see above)
