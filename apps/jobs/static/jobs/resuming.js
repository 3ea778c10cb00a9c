// Uploads that were begun and not finished: the same file chosen again goes on.

import { Refused, ask } from "./asking.js";
import { Row } from "./rows.js";
import { number, size, unitOf } from "./words.js";

const section = document.getElementById("unfinished");
const items = section ? [...section.querySelectorAll("li")] : [];

function isSame(file, { name, size, modified }) {
  return (
    file.name === name &&
    file.size === Number(size) &&
    (!modified || file.lastModified === Number(modified))
  );
}

function leave(item) {
  item.remove();
  items.splice(items.indexOf(item), 1);
  section.hidden = items.length === 0;
}

// Whether the file belongs to an upload that was begun; if so, it goes on now.
export async function resumes(file, watch, among = items) {
  const item = among.find(({ dataset }) => isSame(file, dataset));
  if (!item) return false;
  const { url, title, kind } = item.dataset;
  try {
    const upload = await ask("GET", `${url}uploads/${kind}/`);
    leave(item);
    watch((changed) => new Row({ title, url }, [[file, upload]], changed));
    return true;
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    leave(item); // it is over: finished in another tab, or given up
    return false;
  }
}

async function show(item) {
  const { url, kind, size: total } = item.dataset;
  const upload = await ask("GET", `${url}uploads/${kind}/`);
  const lengthOf = (part) =>
    Math.min(upload.part_bytes, upload.size - (part - 1) * upload.part_bytes);
  const arrived = total - upload.missing.reduce((sum, part) => sum + lengthOf(part), 0);
  item.querySelector("progress").value = arrived / total;
  item.querySelector(".how-far").textContent =
    `${number(arrived, unitOf(total))} of ${size(Number(total))} are there`;
}

export function offer(watch) {
  for (const item of [...items]) {
    show(item).catch((error) => {
      if (error instanceof Refused) leave(item); // it is over since the page was made
    });
    const input = item.querySelector("input");
    const problem = item.querySelector(".problem");
    input.addEventListener("change", async () => {
      const [file] = input.files;
      if (!file) return;
      const isResumed = await resumes(file, watch, [item]).catch((error) => error);
      if (isResumed === true) return;
      problem.textContent =
        isResumed === false
          ? `${file.name} is not the file that was begun: it has another name, size or date.`
          : "The site does not answer. Choose the file again.";
      input.value = "";
    });
    item.querySelector("button").addEventListener("click", async () => {
      try {
        await ask("POST", `${item.dataset.url}abandon/`);
        leave(item);
      } catch (error) {
        problem.textContent = error instanceof Refused ? error.message : "The site does not answer. Try again.";
      }
    });
  }
}
