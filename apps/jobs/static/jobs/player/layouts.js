// Where the two eyes lie in the picture of a final, by its mode.

/**
 * A part of a picture: position of its top left corner, and size, of a picture of 1 × 1.
 * @typedef {readonly [x: number, y: number, width: number, height: number]} Area
 * @typedef {"left" | "right"} Eye
 * @typedef {Readonly<Record<Eye, Area>>} Eyes
 */

/** @type {Eyes} */
const BESIDE = { left: [0, 0, 0.5, 1], right: [0.5, 0, 0.5, 1] };
/** @type {Eyes} */
const ABOVE = { left: [0, 0, 1, 0.5], right: [0, 0.5, 1, 0.5] };

/**
 * In the half modes each eye is squeezed, but its area is the same part of the picture.
 * An anaglyph is missing: what is mixed cannot be taken apart.
 * @type {Readonly<Record<string, Eyes>>}
 */
const LAYOUTS = { sbs: BESIDE, half_sbs: BESIDE, tab: ABOVE, half_tab: ABOVE };

/** @type {Map<Eyes, XRLayerLayout>} */
const XR_LAYOUTS = new Map([
  [BESIDE, "stereo-left-right"],
  [ABOVE, "stereo-top-bottom"],
]);

/**
 * @param {string} mode of the final
 * @returns {Eyes | null} null where there is one picture only
 */
export function layout(mode) {
  return LAYOUTS[mode] ?? null;
}

/**
 * @param {Eyes} eyes
 * @returns {Eyes}
 */
export function swapped({ left, right }) {
  return { left: right, right: left };
}

/**
 * @param {string} mode of a final with two pictures
 * @returns {XRLayerLayout}
 */
export function xrLayout(mode) {
  return XR_LAYOUTS.get(LAYOUTS[mode]);
}
