// A new job: files are checked before they travel, the job is made, its files are sent.

import { Lost, Refused, ask, pause } from "./asking.js";
import { otherKind } from "./kinds.js";
import { Row } from "./rows.js";
import { offer, resumes } from "./resuming.js";
import { size } from "./words.js";

const form = document.getElementById("new");
const { file, depth, title } = form.elements;
const problems = document.getElementById("problems");
const submit = form.querySelector(".submit button");
const sending = document.getElementById("uploads");
const said = document.getElementById("said");
const pageTitle = document.title;
const rows = [];
const SILENT = "The site does not answer. Choose the file again.";
let filledIn = "";
let beginning = false;
let leaving = false;
let sifting = Promise.resolve(); // a file that was just chosen is being looked at

function complain(...sentences) {
  problems.replaceChildren(
    ...sentences.map((text) => {
      const line = document.createElement("p");
      line.className = "problem";
      line.textContent = text;
      return line;
    }),
  );
  problems.focus();
}

async function problemOf(chosen) {
  const most = Number(form.dataset.maxBytes);
  if (chosen.size === 0) return `${chosen.name} is empty: choose another file.`;
  if (chosen.size > most) {
    return `${chosen.name} has ${size(chosen.size)}, and at most ${size(most)} are accepted.`;
  }
  const other = await otherKind(chosen).catch(() => "a file that cannot be read");
  return other && `${chosen.name} is ${other}, not a video: choose another file.`;
}

// Keeps in an input what may be sent, and says why the rest may not.
async function sift(input) {
  problems.replaceChildren();
  const kept = [];
  const refused = [];
  for (const chosen of input.files) {
    const problem = await problemOf(chosen);
    if (problem) {
      refused.push(problem);
      continue;
    }
    try {
      if (!(await resumes(chosen, watch))) kept.push(chosen);
    } catch (error) {
      if (!(error instanceof Lost)) throw error;
      // Whether it was begun before is not known, and it should not be sent twice.
      refused.push(SILENT);
    }
  }
  if (kept.length !== input.files.length) input.files = listOf(kept);
  if (refused.length) complain(...new Set(refused));
}

async function filmsChosen() {
  await sift(file);
  const many = file.files.length > 1;
  // Settings are for all of them; a title and a depth video can only be one film's.
  title.disabled = depth.disabled = many;
  document.getElementById("many").hidden = !many;
  const [film] = file.files;
  if (film && (!title.value || title.value === filledIn)) {
    title.value = filledIn = many ? "" : film.name.replace(/\.[^.]{1,8}$/, "").slice(0, 200);
  }
  form.dispatchEvent(new CustomEvent("film:chosen", { detail: film ?? null }));
}

function requestId() {
  // crypto.randomUUID is for HTTPS only; at home the site may be plain HTTP.
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function wish(film) {
  const body = new FormData(form);
  for (const [name, chosen] of [["", film], ["depth_", depth.disabled ? null : depth.files[0]]]) {
    if (!chosen) continue;
    body.set(`${name}name`, chosen.name);
    body.set(`${name}size`, chosen.size);
    body.set(`${name}modified`, chosen.lastModified);
  }
  body.delete("file");
  body.delete("depth");
  body.set("request_id", requestId());
  return body;
}

async function begin(film) {
  const body = wish(film);
  // The same request again is the same job: asking once more makes no second one.
  for (;;) {
    try {
      return await ask("POST", form.action, { body });
    } catch (error) {
      if (!(error instanceof Lost)) throw error;
      said.textContent = "Connection lost. Retrying…";
      await pause(2);
    }
  }
}

async function send(event) {
  event.preventDefault();
  if (submit.disabled) return;
  submit.disabled = true;
  beginning = true;
  try {
    await sifting;
    if (file.files.length) problems.replaceChildren();
    while (file.files.length) {
      const [film, ...rest] = file.files;
      const job = await begin(film);
      const files = { film, depth: depth.files[0] };
      const pairs = job.uploads.map((upload) => [files[upload.kind], upload]);
      watch((told) => new Row(job, pairs, told));
      file.files = listOf(rest);
    }
    form.hidden = rows.some((row) => !row.isOver);
  } catch (error) {
    refuse(error);
  } finally {
    beginning = false;
    submit.disabled = false;
    changed();
  }
}

function listOf(files) {
  const list = new DataTransfer();
  for (const each of files) list.items.add(each);
  return list.files;
}

function refuse(error) {
  if (error instanceof Lost) return complain(SILENT);
  if (!(error instanceof Refused)) throw error;
  const named = error.errors.map(({ label, messages }) => `${label}: ${messages.join(" ")}`);
  complain(...(named.length ? named : [error.message]));
}

function watch(make) {
  rows.push(make(changed));
  if (sending.hidden) {
    sending.hidden = false;
    sending.querySelector("h2").focus();
  }
  changed();
}

// One sentence for all rows, in the tab's title and for who listens.
function changed() {
  const going = rows.filter((row) => !row.isOver);
  const done = rows.filter((row) => row.state === "done");
  if (going.length === 0 && rows.length > 0 && !beginning) finish(done);
  const total = going.reduce((sum, row) => sum + row.total, 0);
  const arrived = going.reduce((sum, row) => sum + row.arrived, 0);
  const percent = Math.floor((100 * arrived) / Math.max(1, total));
  document.title = going.length ? `${percent} % · ${pageTitle}` : pageTitle;
  const isSending = going.some((row) => row.state === "sending");
  if (isSending) say(`${percent - (percent % 10)} % uploaded`);
  window[isSending ? "addEventListener" : "removeEventListener"]("beforeunload", stay);
}

function finish(done) {
  window.removeEventListener("beforeunload", stay);
  const started = done.filter((row) => row.waitsFor.length === 0);
  const [only, ...others] = rows.filter((row) => row.state !== "cancelled");
  if (only && !others.length && started.length) {
    // The last figures may come later than the end; a second visit would abort the first.
    if (!leaving) window.location.assign(only.url);
    leaving = true;
    return;
  }
  form.hidden = false;
  if (!only) {
    say("Upload cancelled");
    file.focus();
  } else say(`Uploaded: ${started.map((row) => row.title).join(", ")}`);
}

function say(sentence) {
  // The same words again would be read out again.
  if (said.textContent !== sentence) said.textContent = sentence;
}

function stay(event) {
  event.preventDefault();
}

for (const place of document.querySelectorAll("[data-range-for]")) {
  const number = document.getElementById(place.dataset.rangeFor);
  const range = document.createElement("input");
  range.type = "range";
  for (const name of ["min", "max", "step", "value"]) range[name] = number[name];
  range.setAttribute("aria-label", number.labels[0].textContent);
  range.addEventListener("input", () => (number.value = range.value));
  number.addEventListener("input", () => (range.value = number.value));
  place.replaceWith(range);
}

const drop = form.querySelector(".drop");
for (const name of ["dragover", "dragleave", "drop"]) {
  drop.addEventListener(name, (event) => {
    event.preventDefault();
    drop.classList.toggle("over", name === "dragover");
    if (name === "drop" && event.dataTransfer.files.length) {
      file.files = event.dataTransfer.files;
      file.dispatchEvent(new Event("change", { bubbles: true }));
    }
  });
}
file.addEventListener("change", () => (sifting = filmsChosen()));
depth.addEventListener("change", () => (sifting = sift(depth)));
form.addEventListener("submit", send);
window.addEventListener("pageshow", ({ persisted }) => {
  if (persisted) window.location.reload(); // Back, to a page whose films are sent
});
offer(watch);
submit.disabled = false;
