// The picture on the page: a canvas that shows the film in the chosen view.

import { swapped } from "./layouts.js";
import { Painter } from "./painter.js";
import { mixture, size, VIEWS } from "./views.js";

/**
 * @typedef {object} Facts
 * @property {import("./layouts.js").Eyes} eyes where they lie in the film
 * @property {number} width of one eye, in square pixels
 * @property {number} height
 */

export class Picture {
  /**
   * @param {HTMLCanvasElement} canvas
   * @param {HTMLVideoElement} film
   * @param {Facts} facts
   * @param {(error: unknown) => void} failed when the film cannot be drawn any more
   */
  constructor(canvas, film, facts, failed) {
    this.canvas = canvas;
    this._film = film;
    this._facts = facts;
    this._failed = failed;
    this._painter = new Painter(context(canvas));
    this._view = VIEWS.side;
    this._isDue = false;
    this.isSwapped = false;
    /** @type {import("./layouts.js").Eye | null} of a view of one eye: this one instead */
    this.only = null;
    canvas.addEventListener("webglcontextlost", () => failed(new Error("WebGL is gone")));
    this._sizes = new ResizeObserver(() => this._fit());
    this._sizes.observe(canvas);
    this._isOver = false;
    this._follow();
  }

  /** Draw nothing any more. */
  close() {
    this._isOver = true;
    this._sizes.disconnect();
  }

  get view() {
    return this._view;
  }

  /** @param {import("./views.js").View} view */
  set view(view) {
    this._view = view;
    this.only = null;
    this._fit();
  }

  /** Draw soon, once. */
  refresh() {
    if (this._isDue) return;
    this._isDue = true;
    requestAnimationFrame(() => {
      this._isDue = false;
      this._draw();
    });
  }

  /** Draw every frame that the film comes to, and no frame twice. */
  _follow() {
    const film = this._film;
    if ("requestVideoFrameCallback" in film) {
      const next = () => {
        this._draw();
        if (!this._isOver) film.requestVideoFrameCallback(next);
      };
      film.requestVideoFrameCallback(next);
    } else {
      const next = () => {
        if (!film.paused) this._draw();
        if (!this._isOver) requestAnimationFrame(next);
      };
      next();
    }
    for (const name of ["loadeddata", "seeked"]) film.addEventListener(name, () => this.refresh());
  }

  /** As many pixels as the screen shows, and no more than the film has. */
  _fit() {
    const { canvas, _facts } = this;
    const [width, height] = size(this._view, _facts.width, _facts.height);
    const room = Math.min(canvas.clientWidth / width, canvas.clientHeight / height);
    const scale = Math.min(1, room * window.devicePixelRatio) || 1;
    const [columns, rows] = grid(this._view);
    canvas.width = Math.max(1, Math.round((width * scale) / columns)) * columns;
    canvas.height = Math.max(1, Math.round((height * scale) / rows)) * rows;
    canvas.parentElement.style.setProperty("--shape", String(width / height));
    this.refresh();
  }

  _draw() {
    if (this._isOver) return;
    const { gl } = this._painter;
    const eyes = this.isSwapped ? swapped(this._facts.eyes) : this._facts.eyes;
    const [columns, rows] = grid(this._view);
    const width = this.canvas.width / columns;
    const height = this.canvas.height / rows;
    try {
      this._painter.take(this._film);
    } catch (error) {
      this._failed(error);
      return;
    }
    for (const [number, pane] of this._view.panes.entries()) {
      const row = Math.floor(number / columns);
      gl.viewport((number % columns) * width, (rows - 1 - row) * height, width, height);
      this._painter.paint(eyes, mixture(this.only ? { eye: this.only } : pane));
    }
  }
}

/**
 * @param {import("./views.js").View} view
 * @returns {[columns: number, rows: number]}
 */
function grid(view) {
  return [view.columns, view.panes.length / view.columns];
}

/** @param {HTMLCanvasElement} canvas */
function context(canvas) {
  const gl = canvas.getContext("webgl2", { alpha: false, antialias: false });
  if (!gl) throw new Error("no WebGL2");
  return gl;
}
