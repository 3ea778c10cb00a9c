"""The site that the browser visits: the whole stack, by the command a person starts it with."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from subprocess import Popen
from urllib.request import urlopen

from stereospot.embedded import free_port
from tests.path.stack import Machine

PASSWORD = "correct horse battery"
PEOPLE = ("alice", "bob", "sally")
"""Alice owns, Bob must see nothing of hers, Sally is staff."""
MAKE_PEOPLE = f"""
from django.contrib.auth.models import User
for name in {PEOPLE!r}:
    User.objects.create_user(name, password={PASSWORD!r}, is_staff=name == "sally")
User.objects.filter(username="sally").update(is_superuser=True)
"""


@dataclass
class Site:
    machine: Machine
    address: str

    @property
    def url(self) -> str:
        return f"http://{self.address}"

    def run(self, code: str) -> str:
        """What Python code prints that runs in a process of this site, with Django set up.

        Never through the ORM of the test's own process: that one has another database.
        """
        done = self.machine.run("shell", "--no-imports", "--command", code)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def wait(self) -> None:
        """Until the pages answer."""
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError), urlopen(f"{self.url}/login/", timeout=5):
                return
            time.sleep(0.2)
        raise AssertionError(f"no page came\n{self.machine.logs()}")

    @contextlib.contextmanager
    def up(self) -> Iterator[Popen[str]]:
        """The site answers inside, and is gone afterwards; its data stays."""
        with self.machine.up(self.address) as process:
            self.wait()
            yield process


@contextlib.contextmanager
def opened(**environment: str) -> Iterator[Site]:
    """A site that answers, with its people; nothing of it is left."""
    folder = Path(tempfile.mkdtemp(prefix="stereospot-browser-"))
    site = Site(Machine(folder / "data", environment), f"127.0.0.1:{free_port()}")
    try:
        with site.up():
            site.run(MAKE_PEOPLE)
            yield site
    finally:
        shutil.rmtree(folder)
