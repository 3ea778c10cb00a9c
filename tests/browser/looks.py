"""How a page looks to all kinds of people: both themes, a small screen, a screen reader."""

from __future__ import annotations

from typing import Literal

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

PHONE = {"width": 360, "height": 740}
Theme = Literal["light", "dark"]
THEMES: tuple[Theme, ...] = ("light", "dark")
_RULES = {
    "runOnly": [
        "wcag2a",
        "wcag2aa",
        "wcag21a",
        "wcag21aa",
        "wcag22aa",
        "best-practice",
    ],
    "resultTypes": ["violations"],
}


def assert_accessible(page: Page) -> None:
    """axe finds nothing serious in the page as it stands, in either theme."""
    for theme in THEMES:
        page.emulate_media(color_scheme=theme)
        found = Axe().run(page, options=_RULES).response["violations"]
        grave = [
            f"{theme}: {each['id']}: {each['help']}: "
            + "; ".join(str(node["target"]) for node in each["nodes"])
            for each in found
            if each["impact"] in ("serious", "critical")
        ]
        assert not grave, "\n".join(grave)
    page.emulate_media(color_scheme=None)


def assert_fits_a_phone(page: Page) -> None:
    """At 360 pixels nothing lies beside the screen; the page stays that narrow."""
    page.set_viewport_size(PHONE)
    beside = page.evaluate(
        """() => {
          const wide = document.documentElement.clientWidth;
          if (document.documentElement.scrollWidth <= wide) return [];
          return [...document.querySelectorAll("body *")]
            .filter((e) => e.getBoundingClientRect().right > wide + 1)
            .map((e) => e.outerHTML.slice(0, 120));
        }"""
    )
    assert not beside, "\n".join(beside)
