// How two eyes are mixed into one picture for red-cyan glasses, red on the left.

/**
 * Rows are R, G, B of the mixture, columns R, G, B of one eye. `inLight`: the numbers are
 * meant for linear light, not for the values of the picture, which are coded for a display.
 * @typedef {readonly number[]} Matrix nine numbers, row by row
 * @typedef {{ left: Matrix, right: Matrix, inLight: boolean }} Glasses
 */

export const ALL = [1, 0, 0, 0, 1, 0, 0, 0, 1];
export const NOTHING = [0, 0, 0, 0, 0, 0, 0, 0, 0];

/**
 * E. Dubois 2009, for an LCD: a least-squares fit, in linear light, of what either eye sees
 * through its filter to what it should see. The same numbers as `inference/stages/compose`.
 * @type {Glasses}
 */
export const DUBOIS = {
  left: [0.437, 0.449, 0.164, -0.062, -0.062, -0.024, -0.048, -0.05, -0.017],
  right: [-0.011, -0.032, -0.007, 0.377, 0.761, 0.009, -0.026, -0.093, 1.234],
  inLight: true,
};

/**
 * The two ways of before, as P. Wimmer describes them ("Anaglyph methods comparison",
 * 3dtv.at): made for display-coded values, with the luma weights of ITU-R BT.601.
 */
const LUMA = [0.299, 0.587, 0.114];

/** @type {Glasses} */
export const HALF_COLOUR = {
  left: [...LUMA, 0, 0, 0, 0, 0, 0],
  right: [0, 0, 0, 0, 1, 0, 0, 0, 1],
  inLight: false,
};

/** @type {Glasses} */
export const GREY = {
  left: [...LUMA, 0, 0, 0, 0, 0, 0],
  right: [0, 0, 0, ...LUMA, ...LUMA],
  inLight: false,
};
