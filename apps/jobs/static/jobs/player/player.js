// The player on a job's page: one file, many ways to look at it.
//
// Without this script, without WebGL2, or where WebGL may not see the film, the page keeps
// the browser's own player, which shows the picture as it is packed.

import { Captions } from "./captions.js";
import { Compare } from "./compare.js";
import { Controls } from "./controls.js";
import { isHeadsetHere, watchInHeadset } from "./headset.js";
import { layout } from "./layouts.js";
import { keepGoing, load } from "./loading.js";
import { Picture } from "./picture.js";
import { VIEWS } from "./views.js";
import { SAFE, FASTEST, Wiggle } from "./wiggle.js";

const REMEMBERED = "stereospot.view";
/** The view that comparing begins with, where the chosen one has two pictures. */
const COMPARED = "right";

class Player {
  /** @param {HTMLElement} element */
  constructor(element) {
    this._element = element;
    this._stage = /** @type {HTMLElement} */ (element.querySelector(".stage"));
    this._film = element.querySelector("video");
    this._panel = element.querySelector("form");
    this._said = element.querySelector("[role=status]");
    this._hint = element.querySelector(".hint");
    const { mode, width, height } = element.dataset;
    this._mode = mode;
    const whole = /** @type {const} */ ([0, 0, 1, 1]);
    this._eyes = layout(mode);
    this._facts = {
      eyes: this._eyes ?? { left: whole, right: whole },
      width: Number(width),
      height: Number(height),
    };
  }

  async start() {
    const { elsewhere, film: kind } = this._element.dataset;
    const outcome = await load(this._film, elsewhere === "yes");
    if (outcome === "unplayable") {
      this._say(`This browser cannot play the film (${kind}). Download it for another player.`);
    } else if (outcome === "hidden") {
      this._say(
        "Only the plain player works here: the bucket with the films does not allow this " +
          "site to draw them. Whoever runs StereoSpot must add its CORS rule.",
      );
    } else {
      keepGoing(this._film);
      this._draw();
    }
  }

  _draw() {
    const canvas = document.createElement("canvas");
    canvas.setAttribute("aria-hidden", "true");
    this._stage.append(canvas);
    try {
      this._picture = new Picture(canvas, this._film, this._facts, () => this._giveUp(canvas));
    } catch {
      this._giveUp(canvas);
      return;
    }
    this._film.controls = false;
    this._stage.tabIndex = 0;
    this._panel.hidden = false;
    new Controls(this._element, this._stage, this._panel, this._film);
    const { subtitles } = this._panel.elements;
    if (subtitles) this._captions = new Captions(this._stage, this._film, subtitles);
    this._choose();
    this._comparison();
    this._headset();
    this._element.dataset.state = "drawn";
  }

  /** @param {HTMLCanvasElement} canvas */
  _giveUp(canvas) {
    if (!canvas.isConnected) return;
    this._picture?.close();
    this._wiggle?.stop();
    this._compare?.stop();
    this._captions?.close();
    canvas.remove();
    this._film.controls = true;
    this._stage.removeAttribute("tabindex");
    this._panel.hidden = true;
    this._say("Only the plain player works here: this browser does not draw the film (WebGL 2).");
    this._element.dataset.state = "plain";
  }

  _choose() {
    const { view, swap } = this._panel.elements;
    if (!view) {
      this._picture.view = VIEWS.left; // the only one: both eyes are in it
      this._captions?.show(VIEWS.left);
      return;
    }
    this._wiggling();
    const before = remembered();
    if (before && view.querySelector(`[value="${CSS.escape(before)}"]`)) view.value = before;
    view.addEventListener("change", () => {
      this._show();
      remember(view.value);
    });
    swap.addEventListener("change", () => {
      this._picture.isSwapped = swap.checked;
      this._picture.refresh();
    });
    this._show();
  }

  _show() {
    const { view, compare, wiggling } = this._panel.elements;
    const chosen = VIEWS[view.value];
    this._picture.view = chosen;
    this._captions?.show(chosen);
    this._hint.textContent = view.selectedOptions[0].dataset.hint;
    wiggling.hidden = !chosen.wiggles;
    if (chosen.wiggles) this._wiggle.start();
    else this._wiggle.stop();
    if (compare?.checked && chosen.panes.length > 1) compare.click();
  }

  _wiggling() {
    const { rate, fast } = this._panel.elements;
    this._wiggle = new Wiggle((eye) => {
      this._picture.only = eye;
      this._picture.refresh();
    });
    rate.value = String(this._wiggle.rate);
    const change = () => {
      rate.max = String(fast.checked ? FASTEST : SAFE);
      this._wiggle.rate = Number(rate.value);
      rate.setAttribute("aria-valuetext", `${rate.value} rounds a second`);
    };
    rate.addEventListener("input", change);
    fast.addEventListener("change", change);
    change();
  }

  _comparison() {
    const { compare, splitting, split, view } = this._panel.elements;
    if (!compare) return;
    const { source, kind } = this._element.dataset;
    this._compare = new Compare(this._stage, this._film, source, () => {
      compare.checked = false;
      compare.disabled = true;
      splitting.hidden = true;
      this._say(`There is nothing to compare with: this browser cannot play the source (${kind}), or it is gone.`);
    });
    const place = () => (this._compare.split = Number(split.value));
    split.addEventListener("input", place);
    compare.addEventListener("change", () => {
      splitting.hidden = !compare.checked;
      if (!compare.checked) {
        this._compare.stop();
        return;
      }
      if (view && VIEWS[view.value].panes.length > 1) {
        view.value = COMPARED;
        this._show();
      }
      place();
      this._compare.start();
    });
  }

  async _headset() {
    const { headset, swap } = this._panel.elements;
    if (!this._eyes || !(await isHeadsetHere())) return;
    headset.hidden = false;
    this._element.querySelector(".in-headset").hidden = false;
    headset.addEventListener("click", async () => {
      headset.disabled = true;
      try {
        const { _film: film, _mode: mode, _facts: facts } = this;
        await watchInHeadset({ film, mode, facts, isSwapped: swap.checked });
      } catch (error) {
        this._say(`The headset did not start: ${error.message}`);
      }
      headset.disabled = false;
      this._picture.refresh();
    });
  }

  /** @param {string} sentence */
  _say(sentence) {
    this._said.textContent = sentence;
  }
}

/** Browsers may refuse to remember: then every film begins with the usual view. */
function remembered() {
  try {
    return window.localStorage.getItem(REMEMBERED);
  } catch {
    return null;
  }
}

/** @param {string} view */
function remember(view) {
  // Nothing may begin to move by itself.
  if (VIEWS[view].wiggles) return;
  try {
    window.localStorage.setItem(REMEMBERED, view);
  } catch {
    // as above
  }
}

const element = document.getElementById("player");
if (element) new Player(element).start();
