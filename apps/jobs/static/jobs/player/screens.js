// Two ways to hang the film up in a headset. Either way each eye gets its own picture.

import { mixture } from "./views.js";
import { swapped, xrLayout } from "./layouts.js";
import { Painter } from "./painter.js";
import { seen, WIDTH } from "./place.js";

/**
 * @typedef {object} Showing
 * @property {HTMLVideoElement} film
 * @property {string} mode
 * @property {import("./picture.js").Facts} facts
 * @property {boolean} isSwapped
 */

/**
 * The headset's own compositor takes the film from the video element, at the film's full
 * resolution, and splits it into the eyes (WebXR Layers).
 */
export class LayerScreen {
  /**
   * @param {XRSession} session
   * @param {XRReferenceSpace} space
   * @param {Showing} showing
   * @param {XRRigidTransform} place
   */
  constructor(session, space, { film, mode, facts, isSwapped }, place) {
    this._layer = new XRMediaBinding(session).createQuadLayer(film, {
      space,
      layout: xrLayout(mode),
      invertStereo: isSwapped,
      transform: place,
      width: WIDTH,
      height: (WIDTH * facts.height) / facts.width,
    });
    session.updateRenderState({ layers: [this._layer] });
  }

  static isPossible() {
    return typeof XRMediaBinding !== "undefined";
  }

  /** @param {XRRigidTransform} place */
  move(place) {
    this._layer.transform = place;
  }

  draw() {
    // The compositor does.
  }
}

/** Draws a rectangle for each eye, where the headset has no layers for films. */
export class PaintedScreen {
  /**
   * @param {XRSession} session
   * @param {Showing} showing
   * @param {XRRigidTransform} place
   */
  constructor(session, { film, facts, isSwapped }, place) {
    const canvas = document.createElement("canvas");
    const gl = canvas.getContext("webgl2", { xrCompatible: true, alpha: false });
    if (!gl) throw new Error("no WebGL2");
    this._film = film;
    this._eyes = isSwapped ? swapped(facts.eyes) : facts.eyes;
    this._height = (WIDTH * facts.height) / facts.width;
    this._place = place;
    this._painter = new Painter(gl);
    session.updateRenderState({ baseLayer: new XRWebGLLayer(session, gl) });
  }

  /** @param {XRRigidTransform} place */
  move(place) {
    this._place = place;
  }

  /**
   * @param {XRSession} session
   * @param {XRViewerPose} pose
   */
  draw(session, pose) {
    const { gl } = this._painter;
    const layer = session.renderState.baseLayer;
    gl.bindFramebuffer(gl.FRAMEBUFFER, layer.framebuffer);
    gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
    this._painter.take(this._film);
    for (const view of pose.views) {
      const { x, y, width, height } = layer.getViewport(view);
      gl.viewport(x, y, width, height);
      // A headset that does not tell its eyes apart is shown the film in 2D.
      const eye = view.eye === "right" ? "right" : "left";
      this._painter.paint(this._eyes, mixture({ eye }), seen(view, this._place, this._height));
    }
  }
}
