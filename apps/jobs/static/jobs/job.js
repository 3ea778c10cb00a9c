// Says aloud and in the tab's title what the polled fragment shows, and when it is stale.

const said = document.getElementById("said");
const stale = document.getElementById("stale");
let heard = Date.now();

document.body.addEventListener("htmx:afterSwap", () => {
  const { announcement, title } = document.getElementById("progress").dataset;
  document.title = title;
  // The same words again would be read out again.
  if (said.textContent !== announcement) said.textContent = announcement;
  heard = Date.now();
  stale.hidden = true;
});

for (const problem of ["htmx:sendError", "htmx:responseError", "htmx:timeout"]) {
  document.body.addEventListener(problem, () => {
    const seconds = Math.round((Date.now() - heard) / 1000);
    stale.querySelector("span").textContent =
      seconds < 100 ? `${seconds} s` : `${Math.round(seconds / 60)} min`;
    stale.hidden = false;
  });
}
