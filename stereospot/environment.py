"""Every variable that the web and worker processes read from the environment.

A variable that names a part (database, broker, bucket) switches that part from the
embedded one to the real one. Nothing else in the code asks which of the two it is.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, HttpUrl, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from contract.modes import Engine

BASE_DIR = Path(__file__).resolve().parent.parent


_PLACES = ("ingest_hosts", "ingest_buckets", "bridge_topics")


class Environment(BaseSettings):
    model_config = SettingsConfigDict(env_file=BASE_DIR / ".env", extra="ignore")

    stereospot_data_dir: Path = BASE_DIR / ".stereospot"
    """Where the embedded database, queue and storage live, and temporary files."""
    database_url: SecretStr | None = None
    """`postgresql://user:password@host:port/name`; unset: the embedded PostgreSQL."""
    database_secret_arn: str = ""
    """Secret in AWS where RDS keeps the password, and changes it; at the start of a process
    it is in `PGPASSWORD`."""
    celery_broker_url: SecretStr | None = None
    """`sqs://` (Amazon's, credentials from boto's own chain), or `sqs://KEY:SECRET@HOST:PORT`
    for another one, over plain HTTP; unset: the embedded SQS."""
    aws_region: str = "us-east-1"
    """Where the queues and buckets are."""
    sqs_queue_url_media: str | None = None
    """URL of the queue `media` when it exists already; likewise the next two."""
    sqs_queue_url_gpu: str | None = None
    """URL of the queue `gpu`."""
    sqs_queue_url_control: str | None = None
    """URL of the queue `control`."""
    sqs_long_poll_wait_seconds: int = Field(default=20, ge=0, le=20)
    """How long one ReceiveMessage waits for a message."""
    source_bucket: str | None = None
    """S3 bucket for sources and segments; unset: a folder of the data directory."""
    result_bucket: str | None = None
    """S3 bucket for stereo segments and finals; unset: a folder of the data directory."""
    inference_backend: Literal["local", "http", "sagemaker"] = "local"
    """Where segments are converted: in the worker's own process, by an inference server,
    or by a SageMaker endpoint."""
    inference_http_url: HttpUrl | None = None
    """Of the inference server, without `/invocations`."""
    inference_token: SecretStr | None = None
    """What the inference server wants to be shown."""
    inference_max_in_flight: int = Field(default=5, ge=1, le=100)
    """Most segments that all workers together have converted elsewhere at once."""
    sagemaker_endpoint_name: str | None = None
    """The endpoint that runs the inference image."""
    sagemaker_region: str | None = None
    """Where the endpoint is; unset: `AWS_REGION`."""
    sagemaker_invoke_timeout_seconds: int = Field(default=1800, ge=60, le=3600)
    """Longest that the endpoint may work at one segment."""
    sagemaker_realtime: bool = False
    """The endpoint answers at once, within 60 s, instead of into a bucket."""
    monitor_database_url: SecretStr | None = None
    """PostgreSQL for the workers' events, not through a pooler; unset: `DATABASE_URL`."""
    flower_url: HttpUrl | None = None
    """Where Flower listens, for the site to show it to staff."""
    flower_basic_auth: SecretStr | None = None
    """`user:password` of Flower, the same there and at the site."""
    gpu_hour_price: float | None = Field(default=None, ge=0)
    """Of a GPU, or of what converts; unset: staff is shown no cost."""
    metrics_token: SecretStr | None = None
    """What a Prometheus shows to read `/metrics`; unset: only staff may."""
    cloudwatch_system: str = ""
    """Name of this installation in CloudWatch; unset: nothing is published there."""
    shutdown_grace_seconds: float = Field(default=25.0, ge=1.0)
    """Between SIGTERM and SIGKILL of a worker; a little less than the platform gives."""
    segment_seconds: float = Field(default=20.0, ge=1.0, le=600.0)
    """Wanted length of a segment; its ends move to shot cuts near by."""
    max_source_gigabytes: float = Field(default=100.0, gt=0)
    """Largest file that is accepted."""
    max_source_hours: float = Field(default=12.0, gt=0)
    """Longest film that is accepted."""
    site_url: HttpUrl | None = None
    """Address of the pages, for links in mail; wanted where mail is sent."""
    email_host: str = ""
    """The mail server (SMTP); unset: no mail is sent."""
    email_port: int = Field(default=587, ge=1, le=65535)
    """Of the mail server."""
    email_host_user: str = ""
    """Name at the mail server, if it wants one."""
    email_host_password: SecretStr | None = None
    """Password at the mail server."""
    email_security: Literal["starttls", "tls", "none"] = "starttls"
    """How the connection to the mail server is encrypted."""
    default_from_email: str = "StereoSpot <stereospot@localhost>"
    """Whom mail comes from."""
    vapid_private_key: SecretStr | None = None
    """Signs notifications: 32 bytes of a P-256 key in base64url, the same for every
    process. Unset: beside the embedded database one is made, else none are sent."""
    vapid_subject: str = "mailto:stereospot@localhost"
    """Whom a push service may complain to: `mailto:` or `https:`."""
    webhook_private_addresses: bool = False
    """Webhooks may go to this machine and its own network, and over plain HTTP."""
    quota_films_at_once: int | None = Field(default=10, ge=0)
    """Films that one person may have in work; empty: any number. Staff has no quotas."""
    quota_minutes_a_month: int | None = Field(default=600, ge=0)
    """Film minutes that one person may have converted in a month; empty: any number."""

    prompts: bool = False
    """Clips are made of prompts, by networks whose weights are about 30 GB to fetch."""
    ingest_hosts: Annotated[list[str], NoDecode] = []
    """Sites that films may be fetched from, by commas, each with what is below it; `*`:
    any. Unset: films are not fetched from the web."""
    ingest_buckets: Annotated[list[str], NoDecode] = []
    """S3 buckets that films may be fetched from, by commas, by everybody who may sign in."""
    ingest_max_height: int = Field(default=2160, ge=144)
    """Rows of a picture: where a site has several sizes, the best that has no more."""
    ingest_cookies: SecretStr | None = None
    """What sites are shown that want to know who asks, as a browser's cookies.txt."""
    bridge_queue_url_arrivals: str | None = None
    """Queue in which S3 and SageMaker say what has arrived, for `manage.py bridge`."""
    bridge_queue_url_video_jobs: str | None = None
    """Queue by which producers of Story IV ask for clips, for `manage.py bridge`."""
    bridge_topics: Annotated[list[str], NoDecode] = []
    """ARNs of the SNS topics whose messages the bridge takes, by commas; unset: any that
    may write to its queues."""
    story_bucket: str | None = None
    """S3 bucket that those producers find their clips in, at `{parent_id}/{task_id}.mp4`;
    unset: a folder of the data directory."""
    story_table: str = ""
    """DynamoDB table that mirrors the status of their tasks; unset: none does."""
    story_owner: str = "story"
    """Name of the account that has the jobs of their clips; made when it is first wanted."""
    drop_engine: Engine = Engine.PREVIEW
    """The engine for films that are put into drop folders (`drop/{username}/` of the bucket)."""
    ingest_private_addresses: bool = False
    """Also fetch from this machine and its network: for trials only."""

    django_secret_key: SecretStr | None = None
    """Signs sessions; unset: one is made and kept in the data directory."""
    django_debug: bool = False
    """Tracebacks in the browser: never where others can reach the site."""
    django_allowed_hosts: Annotated[list[str], NoDecode] = ["localhost", "127.0.0.1"]
    """Host names of the site, separated by commas."""
    csrf_trusted_origins: Annotated[list[str], NoDecode] = []
    """Origins such as `https://films.example` that may post forms, by commas."""
    django_secure: bool = False
    """The site is served over HTTPS: secure cookies, HSTS, redirect from HTTP."""
    trusted_proxies: int = Field(default=0, ge=0, le=10)
    """Proxies of ours before the site, each adding to X-Forwarded-For; 0: none."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    """Least severity that is logged."""
    logs_url: str = Field(default="", pattern=r"^(https?://\S+)?$")
    """Where operators read the logs; `{job}` in it stands for a job's id."""
    cost_url: str = Field(default="", pattern=r"^(https?://\S+)?$")
    """Where operators see what all this costs."""

    @model_validator(mode="before")
    @classmethod
    def _split_lists(cls, values: dict[str, object]) -> dict[str, object]:
        lists = ("django_allowed_hosts", "csrf_trusted_origins", *_PLACES)
        for name in lists:
            if isinstance(text := values.get(name), str):
                values[name] = [
                    part.strip() for part in text.split(",") if part.strip()
                ]
        return values

    @field_validator("quota_films_at_once", "quota_minutes_a_month", mode="before")
    @classmethod
    def _none_when_empty(cls, value: object) -> object:
        return None if value == "" else value

    @model_validator(mode="after")
    def _safe(self) -> Self:
        """Refuse to start a site on HTTPS with what only one machine may have."""
        if self.django_secure and (self.django_debug or not self.django_secret_key):
            raise ValueError(
                "DJANGO_SECURE wants DJANGO_SECRET_KEY set and DJANGO_DEBUG off"
            )
        if bool(self.source_bucket) != bool(self.result_bucket):
            raise ValueError("set both SOURCE_BUCKET and RESULT_BUCKET, or neither")
        is_asked = self.bridge_queue_url_video_jobs and self.source_bucket
        if is_asked and not self.story_bucket:
            raise ValueError("BRIDGE_QUEUE_URL_VIDEO_JOBS wants STORY_BUCKET")
        if len(self.queue_urls) not in (0, 3):
            raise ValueError("set all three of SQS_QUEUE_URL_*, or none")
        return self

    @model_validator(mode="after")
    def _reachable(self) -> Self:
        """Refuse to start workers that could not send a single segment."""
        if self.inference_backend == "http" and not self.inference_http_url:
            raise ValueError("INFERENCE_BACKEND=http wants INFERENCE_HTTP_URL")
        if self.email_host and not self.site_url:
            raise ValueError("EMAIL_HOST wants SITE_URL, for the links in mail")
        if self.inference_backend == "sagemaker" and not (
            self.sagemaker_endpoint_name and self.source_bucket
        ):
            raise ValueError(
                "INFERENCE_BACKEND=sagemaker wants SAGEMAKER_ENDPOINT_NAME, and "
                "SOURCE_BUCKET and RESULT_BUCKET, which the endpoint reads and writes"
            )
        return self

    @model_validator(mode="after")
    def _watchable(self) -> Self:
        """Refuse to start a site whose staff would be asked for a password it has not."""
        login = self.flower_basic_auth
        if self.flower_url and self.celery_broker_url and not login:
            raise ValueError("FLOWER_URL wants FLOWER_BASIC_AUTH, as Flower has it")
        if login and not all(login.get_secret_value().partition(":")):
            raise ValueError("FLOWER_BASIC_AUTH is to be user:password")
        return self

    @property
    def queue_urls(self) -> dict[str, str]:
        """Name → URL of the queues that exist already."""
        urls = {
            "media": self.sqs_queue_url_media,
            "gpu": self.sqs_queue_url_gpu,
            "control": self.sqs_queue_url_control,
        }
        return {name: url for name, url in urls.items() if url}

    @property
    def bridge_queue_urls(self) -> dict[str, str]:
        """Name → URL of the queues that others write to."""
        urls = {
            "arrivals": self.bridge_queue_url_arrivals,
            "video-jobs": self.bridge_queue_url_video_jobs,
        }
        return {name: url for name, url in urls.items() if url}
