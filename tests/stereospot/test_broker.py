"""How the broker's URL is understood."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from stereospot.environment import BASE_DIR

SAY = "from django.conf import settings as s; print(s.CELERY_BROKER_TRANSPORT_OPTIONS['is_secure'])"


@pytest.mark.parametrize(
    ("url", "over_tls"),
    [("sqs://", True), ("sqs://KEY:SECRET@sqs:9324", False)],
    ids=["Amazon's", "another one"],
)
def test_amazons_sqs_is_asked_over_tls_and_another_as_its_url_says(
    url, over_tls, tmp_path
):
    environment = os.environ | {
        "CELERY_BROKER_URL": url,
        "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/nothing",
        "DJANGO_SETTINGS_MODULE": "stereospot.settings",
        "PYTHONPATH": str(BASE_DIR),
        "STEREOSPOT_DATA_DIR": str(tmp_path),
    }
    done = subprocess.run(
        [sys.executable, "-c", SAY],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.stdout.strip(), done.returncode) == (str(over_tls), 0), done.stderr
