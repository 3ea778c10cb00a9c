"""docs/api.md, word for word: its commands by bash and curl, before a real stack."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from apps.jobs.statuses import STATUSES
from tests.browser.site import Site, opened
from tests.path.films import facts, small_film
from tests.receiver import Receiver, receiving

GUIDE = (Path(__file__).parent.parent.parent / "docs" / "api.md").read_text()
COMMANDS = re.findall(r"```sh\n(.*?)```", GUIDE, re.DOTALL)
(VERIFICATION,) = re.findall(r"```python\n(.*?)```", GUIDE, re.DOTALL)
TOOLS = ("bash", "curl", "jq", "dd")
_MAKE_TOKEN = """
from django.contrib.auth.models import User
from apps.jobs import tokens
print(tokens.make(User.objects.get(username="alice"), "walk", None)[1])
"""


@pytest.fixture(autouse=True)
def tools() -> None:
    missing = [tool for tool in TOOLS if not shutil.which(tool)]
    if missing and os.environ.get("CI") == "true":
        pytest.fail(f"{missing} are missing")
    if missing:
        pytest.skip(f"{missing} are missing, with which docs/api.md is walked through")


def walk(site: Site, receiver: Receiver, folder: Path) -> str:
    """Do what the guide says; the secret of the webhook."""
    first, *steps, webhook = COMMANDS
    told = webhook.replace("https://receiver.example/told", receiver.url)
    # First, so that it is told of what follows.
    script = "\n".join(
        ["set -euo pipefail", first, told, 'echo "$secret" >secret', *steps]
    )
    variables = {"SITE": site.url, "TOKEN": site.run(_MAKE_TOKEN)}
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=folder,
        env=os.environ | variables,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}\n{site.machine.logs()}"
    return (folder / "secret").read_text().strip()


def test_the_guide_converts_a_film_and_its_webhook_is_told(tmp_path):
    film = small_film(tmp_path / "film.mp4", seconds=2)

    with receiving() as receiver, opened(WEBHOOK_PRIVATE_ADDRESSES="true") as site:
        secret = walk(site, receiver, tmp_path)
        deadline = time.monotonic() + 120
        while len(receiver.told) < 2 and time.monotonic() < deadline:
            time.sleep(0.2)

    (final,) = tmp_path.glob("film_3D*.mp4")
    assert facts(final).times == facts(film).times
    assert [kind(body) for _, body in receiver.told] == ["job.completed", "job.deleted"]
    guide: dict[str, Any] = {}
    exec(VERIFICATION, guide)
    for headers, body in receiver.told:
        assert guide["is_genuine"](secret, headers, body)
        assert not guide["is_genuine"](secret, headers, body + b" ")


def kind(body: bytes) -> str:
    return re.search(rb'"type":"([a-z.]+)"', body)[1].decode()


def test_every_code_that_has_a_status_of_its_own_is_in_the_guide():
    missing = [code for code in STATUSES if f"`{code}`" not in GUIDE]

    assert missing == []
