// Left, right, left, right: depth without glasses.
//
// A change to the other eye and back may be a flash, and more than three flashes a second
// can cause seizures (WCAG 2.2, 2.3.1). So up to three rounds a second are offered, and
// more only to who asks for it. Who wants less motion gets a picture that stands still.

const USUAL = 2;
/** Rounds a second. */
export const SAFE = 3;
export const FASTEST = 8;

export class Wiggle {
  /** @param {(eye: import("./layouts.js").Eye) => void} show */
  constructor(show) {
    this._show = show;
    this._timer = 0;
    this._isRight = false;
    this._isOn = false;
    this._rate = window.matchMedia("(prefers-reduced-motion: reduce)").matches ? 0 : USUAL;
  }

  /** Rounds a second; at 0 it stands still. */
  get rate() {
    return this._rate;
  }

  set rate(rate) {
    this._rate = rate;
    if (this._isOn) this.start();
  }

  start() {
    this.stop();
    this._isOn = true;
    if (this._rate > 0) this._timer = window.setInterval(() => this._turn(), 500 / this._rate);
  }

  stop() {
    this._isOn = false;
    window.clearInterval(this._timer);
  }

  _turn() {
    this._isRight = !this._isRight;
    this._show(this._isRight ? "right" : "left");
  }
}
