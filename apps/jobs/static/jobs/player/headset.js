// Watching in a headset's own browser (WebXR): the film on a large screen, each eye its own.
//
// There is no keyboard in there. A short press (trigger, pinch) plays and pauses, a longer
// one hangs the screen up again where the person looks, a very long one or the grip leaves.

import { ahead, straight } from "./place.js";
import { LayerScreen, PaintedScreen } from "./screens.js";

/** Milliseconds. */
const RECENTRE = 800;
const LEAVE = 3000;

/** @returns {Promise<boolean>} */
export async function isHeadsetHere() {
  if (!navigator.xr) return false;
  try {
    return await navigator.xr.isSessionSupported("immersive-vr");
  } catch {
    return false; // a page that may not ask is a page without a headset
  }
}

/**
 * Ends when the person leaves. The click that asked for it must be recent.
 * @param {import("./screens.js").Showing} showing
 */
export async function watchInHeadset(showing) {
  const session = await navigator.xr.requestSession("immersive-vr", {
    optionalFeatures: ["layers"],
  });
  const ended = new Promise((resolve) => session.addEventListener("end", resolve));
  try {
    const space = await session.requestReferenceSpace("local");
    new Theatre(session, space, showing).open();
  } catch (error) {
    await session.end();
    throw error;
  }
  await ended;
}

class Theatre {
  /**
   * @param {XRSession} session
   * @param {XRReferenceSpace} space
   * @param {import("./screens.js").Showing} showing
   */
  constructor(session, space, showing) {
    this._session = session;
    this._space = space;
    this._film = showing.film;
    this._screen = screen(session, space, showing);
    this._isHung = false;
    /** @type {number | null} when the person began to press */
    this._pressed = null;
  }

  open() {
    const session = this._session;
    session.addEventListener("selectstart", () => (this._pressed = performance.now()));
    session.addEventListener("selectend", () => this._released());
    session.addEventListener("squeeze", () => session.end());
    session.addEventListener("visibilitychange", () => {
      if (session.visibilityState === "hidden") this._film.pause();
    });
    session.requestAnimationFrame((_, frame) => this._drawn(frame));
    this._film.play().catch(() => undefined);
  }

  /** @param {XRFrame} frame */
  _drawn(frame) {
    const session = this._session;
    session.requestAnimationFrame((_, next) => this._drawn(next));
    if (this._heldFor() > LEAVE) {
      this._pressed = null;
      session.end();
      return;
    }
    const pose = frame.getViewerPose(this._space);
    if (!pose) return;
    if (!this._isHung) {
      this._isHung = true;
      this._screen.move(ahead(pose.transform));
    }
    this._screen.draw(session, pose);
  }

  _released() {
    const held = this._heldFor();
    this._pressed = null;
    if (held > RECENTRE) this._isHung = false;
    else if (this._film.paused) this._film.play().catch(() => undefined);
    else this._film.pause();
  }

  _heldFor() {
    return this._pressed === null ? 0 : performance.now() - this._pressed;
  }
}

/**
 * @param {XRSession} session
 * @param {XRReferenceSpace} space
 * @param {import("./screens.js").Showing} showing
 */
function screen(session, space, showing) {
  const isGranted = session.enabledFeatures?.includes("layers");
  if (isGranted && LayerScreen.isPossible()) {
    return new LayerScreen(session, space, showing, straight());
  }
  return new PaintedScreen(session, showing, straight());
}
