// Sends one file to the store: several parts at a time, each until it is there.

import { Lost, Refused, ask, pause } from "./asking.js";

const AT_ONCE = 4; // parts under way, of all files: browsers open six lines to a site
const SILENCE = 45_000; // milliseconds without a byte after which a line counts as lost
const PAUSES = [1, 2, 4, 8, 15]; // seconds before another try; then always the last
const REFUSALS = 5; // of an address that is not taken, before we give up

// Lets so many through at a time, in the order in which they came.
class Gate {
  #free = AT_ONCE;
  #waiting = [];

  async enter() {
    if (this.#free > 0) this.#free -= 1;
    else await new Promise((go) => this.#waiting.push(go));
  }

  leave() {
    const next = this.#waiting.shift();
    if (next) next();
    else this.#free += 1;
  }
}

const gate = new Gate();

export class Transfer {
  #control = null;
  #underWay = new Map(); // number of a part → its bytes that have gone
  #lost = 0;

  // `told` is called whenever there is something new to show.
  constructor(file, upload, jobUrl, told) {
    Object.assign(this, { file, upload, told });
    this.url = `${jobUrl}uploads/${upload.kind}/`;
    this.missing = [...upload.missing];
    this.isDone = false;
  }

  get isLost() {
    return this.#lost > 0;
  }

  get arrived() {
    if (this.isDone) return this.file.size;
    const away = [...this.missing, ...this.#underWay.keys()];
    const toCome = away.reduce((sum, number) => sum + this.#length(number), 0);
    const gone = [...this.#underWay.values()].reduce((sum, bytes) => sum + bytes, 0);
    return this.file.size - toCome + gone;
  }

  // Until all of it is in the store; the site's answer. Throws `Refused`, or an
  // AbortError after `stop`.
  async send() {
    this.#control = new AbortController();
    const { signal } = this.#control;
    for (;;) {
      const workers = Array.from({ length: AT_ONCE }, () => this.#work(signal));
      const ends = await Promise.allSettled(workers);
      const causes = ends.filter(({ reason }) => reason).map(({ reason }) => reason);
      // Of several the one for which the others were stopped.
      if (causes.length) throw causes.find(({ name }) => name !== "AbortError") ?? causes[0];
      const answer = await this.#complete(signal);
      if (answer) return answer;
    }
  }

  stop() {
    this.#control?.abort();
  }

  async #work(signal) {
    while (this.missing.length && !signal.aborted) {
      const number = this.missing.shift();
      this.#underWay.set(number, 0);
      try {
        await this.#persist(() => this.#part(number, signal), signal);
      } catch (error) {
        this.missing.unshift(number);
        this.stop(); // the others cannot do without it
        throw error;
      } finally {
        this.#underWay.delete(number);
        this.told();
      }
    }
    signal.throwIfAborted();
  }

  // Again and again while nothing but the line is to blame.
  async #persist(act, signal) {
    for (let tries = 0; ; tries += 1) {
      try {
        return await act();
      } catch (error) {
        if (!(error instanceof Lost) || (error.isRefusal && tries >= REFUSALS)) throw error;
      }
      this.#lost += 1;
      this.told();
      try {
        await pause(PAUSES[Math.min(tries, PAUSES.length - 1)], signal);
      } finally {
        this.#lost -= 1;
      }
    }
  }

  async #part(number, signal) {
    await gate.enter();
    try {
      signal.throwIfAborted();
      const { url } = await ask("POST", `${this.url}parts/${number}/`, { signal });
      const start = (number - 1) * this.upload.part_bytes;
      const blob = this.file.slice(start, start + this.#length(number));
      await blob.slice(0, 1).arrayBuffer().catch(changed);
      await this.#put(number, url, blob, signal);
    } finally {
      this.#underWay.set(number, 0);
      gate.leave();
    }
    this.#underWay.set(number, this.#length(number));
  }

  #put(number, url, blob, signal) {
    return new Promise((resolve, reject) => {
      const request = new XMLHttpRequest();
      let timer = 0;
      const heard = () => {
        clearTimeout(timer);
        timer = setTimeout(() => request.abort(), SILENCE);
      };
      const abort = () => request.abort();
      request.upload.addEventListener("progress", ({ loaded }) => {
        heard();
        this.#underWay.set(number, loaded);
        this.told();
      });
      request.addEventListener("loadend", () => {
        clearTimeout(timer);
        signal.removeEventListener("abort", abort);
        if (signal.aborted) reject(signal.reason);
        else if (request.status >= 200 && request.status < 300) resolve();
        else reject(failure(request));
      });
      signal.addEventListener("abort", abort);
      request.open("PUT", url);
      request.send(blob);
      heard();
    });
  }

  // The site's answer, or nothing when parts turn out to be missing.
  #complete(signal) {
    return this.#persist(async () => {
      try {
        const answer = await ask("POST", `${this.url}complete/`, { signal });
        this.isDone = true;
        return answer;
      } catch (error) {
        if (error.code !== "upload-incomplete") throw error;
      }
      const { missing } = await ask("GET", this.url, { signal });
      if (!missing.length) throw new Lost("another is at it");
      this.missing = missing;
      return null;
    }, signal);
  }

  #length(number) {
    const start = (number - 1) * this.upload.part_bytes;
    return Math.min(this.upload.part_bytes, this.file.size - start);
  }
}

function changed() {
  const message = "The file was changed or moved while it was being sent. Choose it again.";
  throw new Refused(0, { code: "file-changed", message });
}

// An address may have expired, or the file may have changed where it lies; a store that
// is full says so, and no other try helps.
function failure(request) {
  let told = {};
  try {
    told = JSON.parse(request.responseText);
  } catch {
    // a bucket answers in XML, a broken line not at all
  }
  if (["disk-full", "upload-over"].includes(told.code)) return new Refused(request.status, told);
  const isRefusal = request.status >= 400 && request.status < 500 && request.status !== 429;
  return Object.assign(new Lost(`status ${request.status}`), { isRefusal });
}
