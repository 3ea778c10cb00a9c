"""What a person would not see, but is wrong all the same: a page's complaints."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from playwright.sync_api import BrowserContext, ConsoleMessage, Page, Request

# The console names a violation in words of the browser's version; this names it in ours.
_VIOLATIONS = """document.addEventListener("securitypolicyviolation", (event) => {
  console.error(`CSP: ${event.effectiveDirective} forbids ${event.blockedURI || "inline"}`);
});"""


@dataclass
class Watch:
    """Collects the complaints of every page of the browser contexts it is put over."""

    complaints: list[str] = field(default_factory=list)
    _origins: set[str] = field(default_factory=set)
    _allowed: list[re.Pattern[str]] = field(default_factory=list)

    def over(self, context: BrowserContext, origin: str) -> None:
        self.allow_origin(origin)
        context.add_init_script(_VIOLATIONS)
        context.on("page", self._follow)

    def allow_origin(self, origin: str) -> None:
        """Pages may load from there."""
        self._origins.add(origin)

    def allow(self, pattern: str) -> None:
        """Complaints in which `pattern` is found belong to this test's story."""
        self._allowed.append(re.compile(pattern))

    def check(self) -> None:
        """Fails with every complaint that no one has allowed."""
        found = [
            complaint
            for complaint in self.complaints
            if not any(pattern.search(complaint) for pattern in self._allowed)
        ]
        assert not found, "\n".join(found)

    def _follow(self, page: Page) -> None:
        page.on("console", self._heard)
        page.on("pageerror", lambda error: self.complaints.append(f"error: {error}"))
        page.on("request", self._asked)

    def _heard(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            at = message.location.get("url", "")
            self.complaints.append(f"{message.type}: {message.text} ({at})")

    def _asked(self, request: Request) -> None:
        parts = urlsplit(request.url)
        origin = f"{parts.scheme}://{parts.netloc}"
        if (
            parts.scheme in ("http", "https", "ws", "wss")
            and origin not in self._origins
        ):
            self.complaints.append(f"request to another origin: {request.url}")
