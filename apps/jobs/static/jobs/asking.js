// Asks the site for JSON. A line that is lost and a site that is away are one kind of
// failure, a refusal is another: it has words for the person.

export class Lost extends Error {}

// What does not pass by itself although the site says that it cannot now.
const OPERATORS = ["disk-full", "misconfigured"];

export class Refused extends Error {
  constructor(status, { code = "", message = "", errors = [] }) {
    super(message || "The site refused that. Reload the page and try again.");
    Object.assign(this, { status, code, errors });
  }
}

export async function ask(method, url, { body, signal } = {}) {
  let answer;
  try {
    answer = await fetch(url, { method, body, signal, headers: { "X-CSRFToken": token() } });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Lost(error.message);
  }
  if (answer.status === 204) return {};
  // While a proxy answers in the site's place there is no JSON.
  const told = await answer.json().catch(() => null);
  if (answer.ok && told) return told;
  if (answer.status >= 500 && !OPERATORS.includes(told?.code)) throw new Lost(answer.statusText);
  throw new Refused(answer.status, told ?? {});
}

// The cookie's, for it changes when one signs in again in another tab. On HTTPS its name has
// a prefix (stereospot/settings.py); one without it is then somebody else's.
function token() {
  const cookie = (name) =>
    new RegExp(`(?:^|; )${name}=([^;]+)`).exec(document.cookie)?.[1];
  return cookie("__Host-csrftoken") ?? cookie("csrftoken") ?? "";
}

// Waits, but not while the browser knows that the line is there again.
export function pause(seconds, signal) {
  return new Promise((resolve, reject) => {
    const done = (act) => () => {
      clearTimeout(timer);
      window.removeEventListener("online", go);
      signal?.removeEventListener("abort", stop);
      act();
    };
    const go = done(resolve);
    const stop = done(() => reject(new DOMException("paused", "AbortError")));
    const timer = setTimeout(go, 1000 * seconds);
    window.addEventListener("online", go);
    signal?.addEventListener("abort", stop);
    if (signal?.aborted) stop();
  });
}
