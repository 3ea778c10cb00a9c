"""A film of a prompt, through the real stack and a real inference server, as a program asks
for it; the networks are tiny, of the real layout."""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.request import Request, urlopen

import pytest

from inference.weights import FOLDER
from stereospot.embedded import free_port
from tests.browser.site import MAKE_PEOPLE, Site
from tests.inference.generate.tiny import save_networks
from tests.inference.service.serving import Serving, serving
from tests.path.films import Facts, facts
from tests.path.stack import Machine

_MAKE_TOKEN = """
from django.contrib.auth.models import User
from apps.jobs import tokens
print(tokens.make(User.objects.get(username="alice"), "prompt", None)[1])
"""
RAIN = {"prompt": "rain on the sea", "width": 256, "height": 300, "seconds": 1}


@pytest.fixture
def folder() -> Iterator[Path]:
    """Where PostgreSQL's own user may look, too."""
    folder = Path(tempfile.mkdtemp(prefix="stereospot-prompt-"))
    yield folder
    shutil.rmtree(folder)


def test_a_prompt_becomes_a_clip_and_a_film_in_3d(folder, tmp_path):
    save_networks(tmp_path / "weights")
    with serving(
        inference_file_root=folder,
        inference_token="hunter2",
        inference_device="cpu",
        **{FOLDER: tmp_path / "weights"},
    ) as server:
        site = site_of(folder, server)
        with site.up():
            site.run(MAKE_PEOPLE)
            token = site.run(_MAKE_TOKEN)
            prompt = {**RAIN, "steps": 1, "seed": 7}
            flat = film(site, token, {"prompt": prompt, "mode": "flat"}, tmp_path)
            stereo = film(site, token, {"prompt": prompt, "mode": "sbs"}, tmp_path)

    assert (flat.size, stereo.size) == ((256, 288), (512, 288))
    assert flat.times == stereo.times
    assert len(flat.times) == 25
    # Two clips and a segment, each once.
    assert len(server.said("converting")) == 3
    assert (tmp_path / "rain on the sea.mp4").exists()
    assert (tmp_path / "rain on the sea_3D_LRF_Full_SBS.mp4").exists()


def site_of(folder: Path, server: Serving) -> Site:
    """That has its films made and converted by the server."""
    environment = {
        "PROMPTS": "true",
        "INFERENCE_BACKEND": "http",
        "INFERENCE_HTTP_URL": str(server.http.base_url),
        "INFERENCE_TOKEN": "hunter2",
        "SEGMENT_SECONDS": "20",
    }
    return Site(Machine(folder / "data", environment), f"127.0.0.1:{free_port()}")


def film(site: Site, token: str, wish: dict[str, object], folder: Path) -> Facts:
    """What comes out of the job that asks for `wish`."""

    def api(path: str, body: object | None = None) -> dict[str, object]:
        headers = {"Authorization": f"Bearer {token}"}
        data = json.dumps(body).encode() if body else None
        if data:
            headers["Content-Type"] = "application/json"
        with urlopen(Request(f"{site.url}/api/v1{path}", data, headers)) as answer:
            return json.load(answer)

    job = api("/jobs", wish)
    deadline = time.monotonic() + 180
    while job["status"] not in ("completed", "failed"):
        assert time.monotonic() < deadline, site.machine.logs()
        time.sleep(0.5)
        job = api(f"/jobs/{job['id']}")
    assert job["status"] == "completed", job["error"]
    result = api(f"/jobs/{job['id']}/result")
    path = folder / str(result["file_name"])
    with urlopen(str(result["url"])) as final:
        path.write_bytes(final.read())
    return facts(path)
