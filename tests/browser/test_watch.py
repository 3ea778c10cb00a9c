"""The watch over the pages is awake: each thing it looks for is done once here."""

from __future__ import annotations

import pytest

from tests.browser.looks import assert_accessible, assert_fits_a_phone

WRONGS = {
    "console.error('oh')": "error: oh",
    "setTimeout(() => { throw new Error('thrown') })": "error: thrown",
    "Promise.reject(new Error('left alone'))": "error: left alone",
    "fetch('/nowhere/')": "404 (Not Found)",
    "document.body.append(Object.assign(document.createElement('script'), "
    "{textContent: 'evil'}))": "CSP: script-src-elem forbids inline",
    "fetch('http://localhost:9/').catch(() => 0)": "CSP: connect-src forbids",
    "location.assign('http://localhost:9/')": "request to another origin: "
    "http://localhost:9/",
}


@pytest.mark.parametrize(("wrong", "complaint"), WRONGS.items(), ids=list(WRONGS))
def test_it_hears_every_complaint(page, watch, wrong, complaint):
    page.goto("/")
    watch.check()

    page.evaluate(f"() => {{ {wrong} }}")
    page.wait_for_timeout(300)

    with pytest.raises(AssertionError):
        watch.check()
    assert any(complaint in heard for heard in watch.complaints)
    watch.complaints.clear()


def test_it_sees_text_that_only_one_theme_can_show(page):
    page.goto("/login/")
    page.evaluate("() => { document.querySelector('h1').style.color = '#fff' }")

    with pytest.raises(AssertionError, match="light: color-contrast"):
        assert_accessible(page)


def test_it_sees_what_lies_beside_a_phone_s_screen(page):
    page.goto("/")
    page.evaluate("() => { document.querySelector('h1').style.minWidth = '400px' }")

    with pytest.raises(AssertionError, match="<h1"):
        assert_fits_a_phone(page)
