// The form works without this. With it: the title is filled in, numbers have a slider,
// the file is checked before it travels, and the upload shows how far it is.

const form = document.getElementById("new");
const file = form.elements.file;
const title = form.elements.title;
const submit = form.querySelector(".submit > button");
const upload = document.getElementById("upload");
const bar = document.getElementById("bar");
const howFar = document.getElementById("how-far");
const said = document.getElementById("said");
const problems = document.getElementById("problems");
let request = null;
let filledIn = "";

const UNITS = ["bytes", "kB", "MB", "GB", "TB"];

function size(bytes, unit = Math.max(0, Math.floor(Math.log10(Math.max(1, bytes)) / 3))) {
  const value = bytes / 1000 ** unit;
  return `${unit > 1 && value < 100 ? value.toFixed(1) : Math.round(value)} ${UNITS[unit]}`;
}

function time(seconds) {
  if (seconds < 60) return "less than a minute";
  const minutes = Math.round(seconds / 60);
  return minutes < 100 ? `about ${minutes} min` : `about ${Math.round(minutes / 60)} h`;
}

function complain(...nodes) {
  problems.replaceChildren(...nodes);
  problems.focus();
}

function sentence(text) {
  const line = document.createElement("p");
  line.className = "problem";
  line.textContent = text;
  return line;
}

function chosen() {
  problems.replaceChildren();
  const film = file.files[0];
  if (!film) return;
  if (!title.value || title.value === filledIn) {
    title.value = filledIn = film.name.replace(/\.[^.]{1,8}$/, "").slice(0, 200);
  }
  const most = Number(form.dataset.maxBytes);
  if (film.size > most) {
    complain(sentence(`The file has ${size(film.size)}, and at most ${size(most)} are accepted.`));
    file.value = "";
  } else if (film.size === 0) {
    complain(sentence("The file is empty: choose another one."));
    file.value = "";
  }
  form.dispatchEvent(new CustomEvent("film:chosen", { detail: file.files[0] ?? null }));
}

function show(loaded, total, begun) {
  const seconds = (performance.now() - begun) / 1000;
  const speed = loaded / Math.max(seconds, 0.001);
  const unit = Math.floor(Math.log10(Math.max(1, total)) / 3);
  const done = size(loaded, unit).split(" ")[0];
  bar.value = loaded / total;
  howFar.textContent = `${done} of ${size(total, unit)}`;
  if (seconds > 1) howFar.textContent += ` · ${size(speed)}/s · ${time((total - loaded) / speed)}`;
  const tenth = `${Math.floor((10 * loaded) / total) * 10} % uploaded`;
  if (said.textContent !== tenth) said.textContent = tenth;
}

function leave(event) {
  event.preventDefault();
}

function rest() {
  request = null;
  submit.hidden = false;
  upload.hidden = true;
  window.removeEventListener("beforeunload", leave);
}

function answered(answer) {
  rest();
  if (answer.status === 200) {
    window.location.assign(answer.responseURL);
    return;
  }
  const page = new DOMParser().parseFromString(answer.responseText, "text/html");
  const found = page.getElementById("problems");
  if (found) complain(...found.children);
  else complain(sentence("The upload was refused. Reload the page and try again."));
}

function send(event) {
  event.preventDefault();
  if (request) return;
  problems.replaceChildren();
  request = new XMLHttpRequest();
  const begun = performance.now();
  request.upload.addEventListener("progress", ({ loaded, total }) => show(loaded, total, begun));
  request.addEventListener("load", () => answered(request));
  request.addEventListener("error", () => {
    rest();
    complain(sentence("The connection was lost and nothing was kept. Upload the file again."));
  });
  request.addEventListener("abort", () => {
    rest();
    said.textContent = "Upload cancelled";
    submit.focus();
  });
  request.open("POST", form.action);
  request.send(new FormData(form));
  submit.hidden = true;
  upload.hidden = false;
  show(0, file.files[0].size || 1, begun);
  document.getElementById("stop").focus();
  window.addEventListener("beforeunload", leave);
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
      chosen();
    }
  });
}
file.addEventListener("change", chosen);
form.addEventListener("submit", send);
document.getElementById("stop").addEventListener("click", () => request?.abort());
