// Where the screen hangs in a headset: straight ahead of the person, upright.

/** Metres. From there the screen fills 53 degrees, as from the middle of a cinema. */
export const WIDTH = 4;
const DISTANCE = 4;

/**
 * The place ahead of a head. Only its turn to the side counts, so that the screen stays
 * level however the head is tilted.
 * @param {XRRigidTransform} head
 * @returns {XRRigidTransform}
 */
export function ahead({ position, orientation: { x, y, z, w } }) {
  const sideways = -2 * (x * z + w * y);
  const forward = -(1 - 2 * (x * x + y * y));
  const turn = Math.atan2(-sideways, -forward);
  return new XRRigidTransform(
    {
      x: position.x - DISTANCE * Math.sin(turn),
      y: position.y,
      z: position.z - DISTANCE * Math.cos(turn),
    },
    { x: 0, y: Math.sin(turn / 2), z: 0, w: Math.cos(turn / 2) },
  );
}

/** The place before a head that nobody has seen yet. */
export function straight() {
  return new XRRigidTransform({ x: 0, y: 0, z: -DISTANCE });
}

/**
 * From a rectangle of ±1 to clip space: as large as the screen, at its place, seen by an eye.
 * @param {XRView} view
 * @param {XRRigidTransform} screen
 * @param {number} height of the screen in metres
 * @returns {Float32Array}
 */
export function seen(view, screen, height) {
  const sized = new Float32Array([WIDTH / 2, 0, 0, 0, 0, height / 2, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1]);
  const hung = times(screen.matrix, sized);
  return times(view.projectionMatrix, times(view.transform.inverse.matrix, hung));
}

/**
 * Product of two 4 × 4 matrices, column by column.
 * @param {Float32Array} a
 * @param {Float32Array} b
 */
function times(a, b) {
  const product = new Float32Array(16);
  for (let column = 0; column < 4; column += 1) {
    for (let row = 0; row < 4; row += 1) {
      for (let k = 0; k < 4; k += 1) {
        product[4 * column + row] += a[4 * k + row] * b[4 * column + k];
      }
    }
  }
  return product;
}
