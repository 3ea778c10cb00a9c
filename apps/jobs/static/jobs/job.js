// Says aloud and in the tab's title what the polled fragment shows, and when it is stale;
// carries the segments' new states to their links, which keep the focus.

const said = document.getElementById("said");
const stale = document.getElementById("stale");
const segments = document.getElementById("segments");
const PAUSED = "Live updates paused, retrying.";
let heard = Date.now();

document.body.addEventListener("htmx:afterSwap", () => {
  document.title = document.getElementById("progress").dataset.title;
  show(document.querySelector("#progress > template")?.content);
});

document.body.addEventListener("htmx:afterRequest", ({ detail }) => {
  if (!detail.successful) return;
  heard = Date.now();
  stale.hidden = true;
  say(document.getElementById("progress").dataset.announcement);
});

function say(sentence) {
  // The same words again would be read out again.
  if (said.textContent !== sentence) said.textContent = sentence;
}

function show(strip) {
  if (!strip) return;
  const cells = segments.querySelectorAll("li");
  const now = strip.querySelectorAll("li");
  if (cells.length !== now.length) {
    // They were cut just now, so nobody has the focus among them.
    // A copy: htmx may tell of one swap twice, and the second has to find the same.
    segments.querySelector("ol").replaceWith(strip.firstElementChild.cloneNode(true));
    segments.hidden = false;
    return;
  }
  cells.forEach((cell, at) => {
    if (cell.dataset.status === now[at].dataset.status) return;
    cell.dataset.status = now[at].dataset.status;
    const [link, changed] = [cell, now[at]].map((each) => each.querySelector("a"));
    link.title = changed.title;
    link.replaceChildren(...changed.childNodes);
  });
}

for (const problem of ["htmx:sendError", "htmx:responseError", "htmx:timeout"]) {
  document.body.addEventListener(problem, () => {
    const seconds = Math.round((Date.now() - heard) / 1000);
    stale.querySelector("span").textContent =
      seconds < 100 ? `${seconds} s` : `${Math.round(seconds / 60)} min`;
    stale.hidden = false;
    say(PAUSED);
  });
}
