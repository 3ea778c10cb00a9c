// What the player can make of two eyes: each view is a grid of panes.

import { ALL, DUBOIS, GREY, HALF_COLOUR, NOTHING } from "./glasses.js";

/**
 * A pane shows one eye, or both mixed for glasses.
 * @typedef {{ eye: import("./layouts.js").Eye } | { glasses: import("./glasses.js").Glasses }} Pane
 *
 * Panes lie left to right, then top to bottom. `squeezed`: all of them share the room of
 * one eye, as in the half modes; otherwise each has that room for itself.
 * @typedef {{ panes: Pane[], columns: number, squeezed?: boolean, wiggles?: boolean }} View
 */

/** @type {Pane} */
const LEFT = { eye: "left" };
/** @type {Pane} */
const RIGHT = { eye: "right" };

/** @type {Readonly<Record<string, View>>} */
export const VIEWS = {
  side: { panes: [LEFT, RIGHT], columns: 2 },
  cross: { panes: [RIGHT, LEFT], columns: 2 },
  left: { panes: [LEFT], columns: 1 },
  right: { panes: [RIGHT], columns: 1 },
  dubois: { panes: [{ glasses: DUBOIS }], columns: 1 },
  half_colour: { panes: [{ glasses: HALF_COLOUR }], columns: 1 },
  grey: { panes: [{ glasses: GREY }], columns: 1 },
  wiggle: { panes: [LEFT], columns: 1, wiggles: true },
  tv_side: { panes: [LEFT, RIGHT], columns: 2, squeezed: true },
  tv_above: { panes: [LEFT, RIGHT], columns: 1, squeezed: true },
};

/**
 * Width and height of a view, for an eye of the given size.
 * @param {View} view
 * @param {number} width
 * @param {number} height
 * @returns {[width: number, height: number]}
 */
export function size(view, width, height) {
  if (view.squeezed) return [width, height];
  return [width * view.columns, (height * view.panes.length) / view.columns];
}

/**
 * What of each eye goes into a pane.
 * @param {Pane} pane
 * @returns {import("./glasses.js").Glasses}
 */
export function mixture(pane) {
  if ("glasses" in pane) return pane.glasses;
  const isLeft = pane.eye === "left";
  return { left: isLeft ? ALL : NOTHING, right: isLeft ? NOTHING : ALL, inLight: false };
}
