"""The account page in a real browser, and its notifications as far as they can be had here.

No push service can be reached from a test, so the subscription that one would give is
played; what the page does with it, and what the worker does with a message, is real.
"""

from __future__ import annotations

import json

from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.site import PASSWORD

_A_SUBSCRIPTION = """
PushManager.prototype.subscribe = async function (options) {
  if (!options.userVisibleOnly || options.applicationServerKey.length !== 65)
    throw new Error("no options that a push service takes");
  const pair = await crypto.subtle.generateKey(
    { name: "ECDH", namedCurve: "P-256" }, true, ["deriveBits"]);
  const point = new Uint8Array(await crypto.subtle.exportKey("raw", pair.publicKey));
  const base64url = (bytes) => btoa(String.fromCharCode(...bytes))
    .replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
  const keys = { p256dh: base64url(point), auth: base64url(new Uint8Array(16)) };
  return { toJSON: () => ({ endpoint: "https://push.example/alice", keys }) };
};
"""
_SHOWN = """async () => {
  const worker = await navigator.serviceWorker.ready;
  const shown = await worker.getNotifications();
  return shown.map(({ title, body, tag, data }) => ({ title, body, tag, url: data.url }));
}"""


def deliver(page: Page, context: BrowserContext, origin: str, message: object) -> None:
    """The browser hands its worker a message, as if it came from the push service."""
    devtools = context.new_cdp_session(page)
    registrations: list[str] = []
    devtools.on(
        "ServiceWorker.workerRegistrationUpdated",
        lambda event: registrations.extend(
            each["registrationId"] for each in event["registrations"]
        ),
    )
    devtools.send("ServiceWorker.enable")
    page.wait_for_timeout(500)
    devtools.send(
        "ServiceWorker.deliverPushMessage",
        {
            "origin": origin,
            "registrationId": registrations[0],
            "data": json.dumps(message),
        },
    )


def test_a_browser_is_told_and_a_doubled_message_is_shown_once(visit, site):
    page = visit("bob", permissions=["notifications"])
    page.context.add_init_script(_A_SUBSCRIPTION)
    page.goto("/account/")

    page.get_by_role("button", name="Tell this browser").click()
    expect(page.get_by_role("button", name="Stop telling")).to_be_visible()
    assert page.evaluate("navigator.serviceWorker.ready.then((w) => w.scope)") == (
        f"{site.url}/"
    )

    film = {"title": "映画<script>", "body": "Your film is ready in 3D.", "tag": "1"}
    for _ in range(2):
        deliver(page, page.context, site.url, {**film, "url": "/jobs/new/"})
        page.wait_for_timeout(500)

    assert page.evaluate(_SHOWN) == [{**film, "url": "/jobs/new/"}]

    page.get_by_role("button", name="Stop telling").click()
    expect(page.get_by_text("That browser is told nothing more.")).to_be_visible()


def test_a_browser_that_is_not_allowed_to_says_so(visit):
    page = visit("bob")
    page.context.add_init_script(
        "Notification.requestPermission = async () => 'denied';"
    )
    page.goto("/account/")

    page.get_by_role("button", name="Tell this browser").click()

    expect(page.locator("#push-said")).to_contain_text("does not allow it")


def test_a_push_service_that_is_away_is_said_in_words(visit, watch):
    page = visit("bob", permissions=["notifications"])
    page.context.add_init_script(
        "PushManager.prototype.subscribe = async () => { throw new Error('No service.'); };"
    )
    page.goto("/account/")

    page.get_by_role("button", name="Tell this browser").click()

    expect(page.locator("#push-said")).to_have_text("It did not work. No service.")


def test_a_password_is_changed_by_keyboard_and_what_is_wrong_is_said(
    visit, watch, site, sessions
):
    watch.allow(r"422 .*/account/password/")
    page = visit("bob")
    page.goto("/account/")
    page.get_by_label("Old password").focus()
    for text in ("wrong", "another horse", "another horse"):
        page.keyboard.type(text)
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")

    expect(
        page.get_by_text("Your old password was entered incorrectly")
    ).to_be_visible()

    page.get_by_label("Old password").focus()
    for _ in range(3):
        page.keyboard.type(PASSWORD)
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")

    expect(page.get_by_text("Your password is changed.")).to_be_visible()
    # Where else Bob was signed in, he is not any more.
    sessions.pop((site.url, "bob"), None)


def test_the_admin_lets_nothing_inline_run_and_misses_nothing(visit):
    page = visit("sally")
    page.goto("/admin/jobs/account/add/")

    page.get_by_role("combobox").first.click()
    page.get_by_role("searchbox").last.fill("bob")
    page.get_by_role("option", name="bob").click()
    page.get_by_label("Films at once").fill("7")
    page.get_by_role("button", name="Save", exact=True).click()

    expect(page.get_by_text("was added successfully")).to_be_visible()
