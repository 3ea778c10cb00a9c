// One row for each film that is being sent: how far it is, pause, cancel, what went wrong.

import { Refused, ask } from "./asking.js";
import { Transfer } from "./transfer.js";
import { number, size, time, unitOf } from "./words.js";

const WINDOW = 10_000; // milliseconds over which the speed is measured
const TOLD = 250; // milliseconds between two figures

const list = document.getElementById("sending");
const template = document.getElementById("sending-row");

export class Row {
  state = "sending"; // paused, failed, cancelled, done
  #samples = [];
  #shownAt = 0;
  #later = 0;

  // `films` are pairs of a file and what the site knows of its upload; `changed` is called
  // when the row's state or figures have changed.
  constructor({ title, url }, films, changed) {
    Object.assign(this, { title, url, changed });
    this.transfers = films.map(
      ([file, upload]) => new Transfer(file, upload, url, () => this.#tell()),
    );
    this.total = films.reduce((sum, [file]) => sum + file.size, 0);
    list.append(template.content.cloneNode(true));
    this.element = list.lastElementChild;
    this.#part("name").textContent = title;
    this.#part("progress").setAttribute("aria-label", `Upload of ${title}`);
    for (const name of ["pause", "cancel"]) {
      const button = this.#part(name);
      button.setAttribute("aria-label", `${button.textContent} ${title}`);
      button.addEventListener("click", () => this[name]());
    }
    this.start();
  }

  get arrived() {
    return this.transfers.reduce((sum, { arrived }) => sum + arrived, 0);
  }

  get isOver() {
    return this.state === "done" || this.state === "cancelled";
  }

  async start() {
    this.#samples = [];
    this.#enter("sending");
    try {
      let answer = {};
      for (const transfer of this.transfers) {
        if (!transfer.isDone) answer = await transfer.send();
      }
      this.waitsFor = answer.waits_for ?? [];
      this.#enter("done");
    } catch (error) {
      if (error.name !== "AbortError") this.#fail(error);
    }
  }

  pause() {
    if (this.state !== "sending") {
      this.start();
      return;
    }
    this.#enter("paused");
    this.#halt();
  }

  async cancel() {
    this.#enter("cancelled");
    this.#halt();
    try {
      await ask("POST", `${this.url}abandon/`);
    } catch {
      // The line is lost: what was sent is tidied away when nobody goes on with it.
    }
  }

  #halt() {
    for (const transfer of this.transfers) transfer.stop();
  }

  #fail(error) {
    const known = error instanceof Refused;
    this.#enter("failed");
    this.#part("problem").textContent = known
      ? error.message
      : "The store does not take the file. Resume, or report this.";
    this.#part("problem").hidden = false;
  }

  #enter(state) {
    this.state = state;
    this.element.dataset.state = state;
    const pause = this.#part("pause");
    const word = state === "sending" ? "Pause" : "Resume";
    pause.textContent = word;
    pause.setAttribute("aria-label", `${word} ${this.title}`);
    pause.hidden = this.#part("cancel").hidden = this.isOver;
    this.#part("problem").hidden = true;
    if (state === "done") this.#link();
    this.#show();
  }

  #link() {
    const link = this.#part("open");
    link.href = this.url;
    link.hidden = false;
    link.setAttribute("aria-label", `Open ${this.title}`);
  }

  // Many parts have news many times a second; nobody reads that fast.
  #tell() {
    clearTimeout(this.#later);
    const wait = this.#shownAt + TOLD - performance.now();
    if (wait <= 0) this.#show();
    else this.#later = setTimeout(() => this.#show(), wait);
  }

  #show() {
    this.#shownAt = performance.now();
    const { arrived, total } = this;
    const unit = unitOf(total);
    this.#part("progress").value = arrived / total;
    const words = [`${number(arrived, unit)} of ${size(total)}`];
    if (this.state === "sending") words.push(...this.#pace(arrived));
    else words.push(this.#ending());
    this.#part("how-far").textContent = words.join(" · ");
    this.changed();
  }

  #pace(arrived) {
    if (this.transfers.some(({ isLost }) => isLost)) return ["Connection lost. Retrying…"];
    const at = performance.now();
    this.#samples.push([at, arrived]);
    while (this.#samples[0][0] < at - WINDOW) this.#samples.shift();
    const [begun, had] = this.#samples[0];
    const speed = (1000 * (arrived - had)) / Math.max(1, at - begun);
    if (at - begun < 1000 || speed <= 0) return [];
    return [`${size(speed)}/s`, time((this.total - arrived) / speed)];
  }

  #ending() {
    if (this.state !== "done") return { paused: "Paused", failed: "Stopped", cancelled: "Cancelled" }[this.state];
    return this.waitsFor.length
      ? `Uploaded; the ${{ film: "film", depth: "depth video" }[this.waitsFor[0]]} is still to come`
      : "Uploaded; it is being converted";
  }

  #part(name) {
    return this.element.querySelector(`.${name}`) ?? this.element.querySelector(name);
  }
}
