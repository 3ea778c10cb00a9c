"""A film by its address, through the real stack, as a program asks for it."""

from __future__ import annotations

import json
import time
from urllib.request import Request, urlopen

from tests.browser.site import opened
from tests.path.films import facts, small_film
from tests.pipeline.sites import site

_MAKE_TOKEN = """
from django.contrib.auth.models import User
from apps.jobs import tokens
print(tokens.make(User.objects.get(username="alice"), "link", None)[1])
"""


def test_a_film_is_fetched_and_comes_out_in_3d(tmp_path):
    film = small_film(tmp_path / "film.mp4", seconds=1)
    here = {"INGEST_HOSTS": "127.0.0.1", "INGEST_PRIVATE_ADDRESSES": "true"}

    with site() as elsewhere, opened(**here) as ours:
        elsewhere.films["/A walk.mp4"] = film.read_bytes()
        token = ours.run(_MAKE_TOKEN)

        def api(path: str, body: object | None = None) -> dict[str, object]:
            headers = {"Authorization": f"Bearer {token}"}
            data = json.dumps(body).encode() if body else None
            if data:
                headers["Content-Type"] = "application/json"
            with urlopen(Request(f"{ours.url}/api/v1{path}", data, headers)) as answer:
                return json.load(answer)

        # Away at first: it is tried again.
        elsewhere.statuses["/A walk.mp4"] = 503
        job = api("/jobs", {"link": f"{elsewhere.url}/A%20walk.mp4", "mode": "sbs"})
        deadline = time.monotonic() + 180
        while job["status"] not in ("completed", "failed"):
            assert time.monotonic() < deadline, ours.machine.logs()
            time.sleep(0.5)
            if elsewhere.asked:
                elsewhere.statuses.clear()
            job = api(f"/jobs/{job['id']}")
        result = api(f"/jobs/{job['id']}/result")
        with urlopen(str(result["url"])) as final:
            (tmp_path / "final.mp4").write_bytes(final.read())

    assert result["file_name"] == "A walk_3D_LRF_Full_SBS.mp4"
    assert facts(tmp_path / "final.mp4").times == facts(film).times
