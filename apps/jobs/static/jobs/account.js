// Opting in to notifications of this browser. Without this the page says that there are none.

const place = document.getElementById("push");
const button = document.getElementById("push-on");
const said = document.getElementById("push-said");

function say(text) {
  said.textContent = text;
}

function bytes(base64url) {
  const base64 = base64url.replaceAll("-", "+").replaceAll("_", "/");
  return Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
}

function browserName() {
  const brands = navigator.userAgentData?.brands ?? [];
  const brand = brands.find(({ brand }) => !/not.?a.?brand|chromium/i.test(brand));
  const known = /(Firefox|Edg|Chrome|Safari)\//.exec(navigator.userAgent)?.[1];
  const platform = navigator.userAgentData?.platform ?? navigator.platform;
  return [brand?.brand ?? known ?? "Browser", platform].filter(Boolean).join(" on ");
}

async function subscription() {
  const worker = await navigator.serviceWorker.register(place.dataset.worker, { scope: "/" });
  await navigator.serviceWorker.ready;
  return worker.pushManager.subscribe({
    userVisibleOnly: true,
    applicationServerKey: bytes(place.dataset.key),
  });
}

async function tell(browser) {
  const answer = await fetch(place.dataset.url, {
    method: "POST",
    headers: {
      "Content-Type": "application/json",
      "X-CSRFToken": place.querySelector("[name=csrfmiddlewaretoken]").value,
    },
    body: JSON.stringify({ ...browser.toJSON(), name: browserName() }),
  });
  if (answer.status === 201) return;
  const { error } = await answer.json().catch(() => ({}));
  throw new Error(error ?? "The site did not take it. Reload the page and try again.");
}

async function switchOn() {
  button.disabled = true;
  say("Asking the browser …");
  try {
    if ((await Notification.requestPermission()) !== "granted") {
      say("The browser does not allow it: change that in its settings for this site.");
      return;
    }
    await tell(await subscription());
    window.location.reload();
  } catch (error) {
    say(`It did not work. ${error.message}`);
  } finally {
    button.disabled = false;
  }
}

if (button) {
  if (!("serviceWorker" in navigator) || !("PushManager" in window)) {
    say("This browser has no notifications, or wants the site on https:// for them.");
  } else {
    button.hidden = false;
    say(Notification.permission === "denied" ? "You have forbidden them in the browser." : "");
    button.addEventListener("click", switchOn);
  }
}
