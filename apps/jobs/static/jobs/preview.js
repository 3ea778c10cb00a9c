// One frame of the film in 3D, before it is uploaded. The browser decodes it where it can;
// else the film's first megabytes are sent, and the site decodes them.

const SIDE = 640; // pixels of the longer side of what is sent
const BEGINNING = 16 * 1024 * 1024;
const TURN = 250; // milliseconds that each eye is shown for

const panel = document.getElementById("preview");
const form = document.getElementById("new");
const shown = document.getElementById("preview-shown");
const canvas = document.getElementById("preview-picture");
const moment = document.getElementById("preview-moment");
const moments = document.getElementById("preview-moments");
const said = document.getElementById("preview-said");
const hint = document.getElementById("preview-hint");

const video = document.createElement("video");
video.muted = true;
video.playsInline = true;
video.preload = "auto";

let film = null;
let frame = null; // { width, height, bytes } or, of a film we cannot decode, { bytes }
let name = ""; // by which the site knows the frame
let picture = null; // the last answer
let asking = false;
let changed = false;
let turned = false;
// As the player's wiggle does: who wants less motion gets a picture that stands still.
const stands = window.matchMedia("(prefers-reduced-motion: reduce)");

function say(sentence) {
  if (said.textContent !== sentence) said.textContent = sentence;
}

function choose(file) {
  film = file;
  frame = picture = null;
  name = "";
  shown.hidden = true;
  hint.hidden = Boolean(file);
  say("");
  if (video.src) URL.revokeObjectURL(video.src);
  video.removeAttribute("src");
  video.load();
  if (!file) return;
  say("Looking for a frame …");
  video.src = URL.createObjectURL(file);
}

function seek() {
  video.currentTime = moment.value * video.duration;
}

// The browser shows sound alone, or takes a film that it cannot show for one.
function isSeen() {
  return video.videoWidth > 0 && Number.isFinite(video.duration);
}

function grab() {
  const scale = Math.min(1, SIDE / Math.max(video.videoWidth, video.videoHeight));
  const [width, height] = [video.videoWidth, video.videoHeight].map(
    (side) => Math.round((side * scale) / 2) * 2,
  );
  const context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
  context.drawImage(video, 0, 0, width, height);
  const { data } = context.getImageData(0, 0, width, height);
  const bytes = new Uint8Array(3 * width * height);
  for (let from = 0, to = 0; to < bytes.length; from += 4) {
    bytes[to++] = data[from];
    bytes[to++] = data[from + 1];
    bytes[to++] = data[from + 2];
  }
  frame = { width, height, bytes };
  name = "";
  const seconds = Math.round(video.currentTime);
  const minutes = Math.floor(seconds / 60);
  document.getElementById("preview-time").textContent =
    `${minutes}:${String(seconds % 60).padStart(2, "0")}`;
  moments.hidden = false;
  ask();
}

function beginning() {
  if (!film || frame) return;
  moments.hidden = true;
  frame = { bytes: film.slice(0, BEGINNING) };
  ask();
}

function query({ width = 0, height = 0 }) {
  const { mode, max_disparity, convergence } = form.elements;
  return {
    mode: mode.value,
    max_disparity: max_disparity.value,
    convergence: convergence.value,
    view: panel.querySelector("[name=view]:checked").value,
    width,
    height,
  };
}

// One question at a time, and after its answer the latest: a slider that moves is followed
// as fast as the site can.
async function ask() {
  if (!frame) return;
  if (asking) {
    changed = true;
    return;
  }
  const of = frame;
  const asked = query(of);
  if (picture?.frame === of && Object.keys(asked).every((key) => picture.asked[key] === asked[key])) return;
  asking = true;
  changed = false;
  try {
    await receive(of, asked, await send(of, asked));
  } catch {
    say("The site does not answer, so there is no preview now.");
  }
  asking = false;
  if (changed || of !== frame) ask();
}

function send({ bytes }, asked) {
  return fetch(`${panel.dataset.url}?${new URLSearchParams({ ...asked, frame: name })}`, {
    method: "POST",
    headers: {
      "X-CSRFToken": form.elements.csrfmiddlewaretoken.value,
      "Content-Type": "application/octet-stream",
    },
    body: name ? null : bytes,
  });
}

async function receive(of, asked, answer) {
  if (answer.status === 200) {
    const bitmap = await createImageBitmap(await answer.blob());
    if (of !== frame) return;
    name = answer.headers.get("Preview-Frame");
    picture?.bitmap.close();
    picture = { bitmap, asked, frame: of, isPair: asked.view === "pair" };
    paint();
    shown.hidden = false;
    say("");
  } else if (answer.status === 204) {
    // It was forgotten, or another process of the site answers.
    name = "";
    changed = true;
  } else if (answer.status === 429) {
    say(await answer.text());
    const seconds = Number(answer.headers.get("Retry-After")) || 2;
    await new Promise((resolve) => setTimeout(resolve, 1000 * seconds));
    changed = true;
  } else {
    const isText = answer.headers.get("Content-Type")?.startsWith("text/plain");
    say(isText ? await answer.text() : "There is no preview: reload the page and try again.");
  }
}

function paint() {
  if (!picture) return;
  const { bitmap, isPair } = picture;
  const width = isPair ? bitmap.width / 2 : bitmap.width;
  if (canvas.width !== width || canvas.height !== bitmap.height) {
    canvas.width = width;
    canvas.height = bitmap.height;
  }
  const from = isPair && turned ? width : 0;
  canvas.getContext("2d").drawImage(bitmap, from, 0, width, bitmap.height, 0, 0, width, bitmap.height);
}

if (panel?.dataset.url) {
  form.addEventListener("film:chosen", ({ detail }) => choose(detail));
  form.addEventListener("input", ask);
  form.addEventListener("change", ask);
  video.addEventListener("loadedmetadata", () => (isSeen() ? seek() : beginning()));
  video.addEventListener("seeked", grab);
  video.addEventListener("error", beginning);
  moment.addEventListener("input", seek);
  setInterval(() => {
    turned = !turned && !stands.matches;
    if (picture?.isPair && !document.hidden) paint();
  }, TURN);
}
