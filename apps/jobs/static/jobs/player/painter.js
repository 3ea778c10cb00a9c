// Draws eyes of a film with WebGL2: the film is one texture, a pane is one rectangle.
//
// The browser hands over display-coded R, G, B in sRGB's range, whatever the film's matrix
// was; an HDR film it has mapped to standard range by then. Mixing for glasses that are
// made for linear light goes there and back by sRGB's curve (IEC 61966-2-1).

const VERTICES = `#version 300 es
in vec2 corner;
uniform mat4 place;
out vec2 at;
void main() {
  at = corner;
  gl_Position = place * vec4(corner.x * 2.0 - 1.0, 1.0 - corner.y * 2.0, 0.0, 1.0);
}`;

const FRAGMENTS = `#version 300 es
precision highp float;
in vec2 at;
uniform sampler2D film;
uniform vec4 leftArea, rightArea;
uniform mat3 leftMix, rightMix;
uniform bool inLight;
out vec4 colour;

// Half a pixel inside of its area, an eye has nothing of the other one.
vec3 eye(vec4 area) {
  vec2 edge = 0.5 / vec2(textureSize(film, 0));
  vec2 point = area.xy + at * area.zw;
  return texture(film, clamp(point, area.xy + edge, area.xy + area.zw - edge)).rgb;
}

vec3 light(vec3 c) {
  return mix(c / 12.92, pow((c + 0.055) / 1.055, vec3(2.4)), step(vec3(0.04045), c));
}

vec3 coded(vec3 c) {
  return mix(c * 12.92, 1.055 * pow(c, vec3(1.0 / 2.4)) - 0.055, step(vec3(0.0031308), c));
}

void main() {
  vec3 left = eye(leftArea), right = eye(rightArea);
  if (inLight) { left = light(left); right = light(right); }
  // Each eye's part is clipped before they are added, as the fit was made.
  vec3 mixed = clamp(leftMix * left, 0.0, 1.0) + clamp(rightMix * right, 0.0, 1.0);
  mixed = clamp(mixed, 0.0, 1.0);
  colour = vec4(inLight ? coded(mixed) : mixed, 1.0);
}`;

const UNIFORMS = ["place", "leftArea", "rightArea", "leftMix", "rightMix", "inLight"];

/** Top left, bottom left, top right, bottom right: a strip of two triangles. */
const CORNERS = new Float32Array([0, 0, 0, 1, 1, 0, 1, 1]);

/** A rectangle that fills the viewport. */
export const FLAT = new Float32Array([1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1]);

export class Painter {
  /** @param {WebGL2RenderingContext} gl */
  constructor(gl) {
    this.gl = gl;
    const made = program(gl);
    this._uniforms = Object.fromEntries(
      UNIFORMS.map((name) => [name, gl.getUniformLocation(made, name)]),
    );
    this._largest = gl.getParameter(gl.MAX_TEXTURE_SIZE);
    this._film = gl.createTexture();
    gl.bindTexture(gl.TEXTURE_2D, this._film);
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_WRAP_S, gl.CLAMP_TO_EDGE);
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_WRAP_T, gl.CLAMP_TO_EDGE);
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MIN_FILTER, gl.LINEAR);
    gl.bindBuffer(gl.ARRAY_BUFFER, gl.createBuffer());
    gl.bufferData(gl.ARRAY_BUFFER, CORNERS, gl.STATIC_DRAW);
    const corner = gl.getAttribLocation(made, "corner");
    gl.enableVertexAttribArray(corner);
    gl.vertexAttribPointer(corner, 2, gl.FLOAT, false, 0, 0);
    gl.useProgram(made);
  }

  /**
   * Take the frame that the film shows now.
   * @param {HTMLVideoElement} video
   * @throws {DOMException} SecurityError where the film's server does not let us see it
   * @throws {RangeError} where the film is larger than this machine draws
   */
  take(video) {
    const { gl } = this;
    if (video.readyState < HTMLMediaElement.HAVE_CURRENT_DATA) return;
    if (Math.max(video.videoWidth, video.videoHeight) > this._largest) {
      throw new RangeError(`the film is larger than ${this._largest} pixels`);
    }
    gl.bindTexture(gl.TEXTURE_2D, this._film);
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA, gl.RGBA, gl.UNSIGNED_BYTE, video);
  }

  /**
   * @param {import("./layouts.js").Eyes} eyes
   * @param {import("./glasses.js").Glasses} mixture
   * @param {Float32Array} place from the rectangle of ±1 to clip space, column by column
   */
  paint(eyes, mixture, place = FLAT) {
    const { gl, _uniforms: at } = this;
    gl.uniformMatrix4fv(at.place, false, place);
    gl.uniform4fv(at.leftArea, eyes.left);
    gl.uniform4fv(at.rightArea, eyes.right);
    gl.uniformMatrix3fv(at.leftMix, true, mixture.left);
    gl.uniformMatrix3fv(at.rightMix, true, mixture.right);
    gl.uniform1i(at.inLight, Number(mixture.inLight));
    gl.drawArrays(gl.TRIANGLE_STRIP, 0, 4);
  }
}

/** @param {WebGL2RenderingContext} gl */
function program(gl) {
  const made = gl.createProgram();
  add(gl, made, gl.VERTEX_SHADER, VERTICES);
  add(gl, made, gl.FRAGMENT_SHADER, FRAGMENTS);
  gl.linkProgram(made);
  if (!gl.getProgramParameter(made, gl.LINK_STATUS)) {
    throw new Error(`the player's program: ${gl.getProgramInfoLog(made)}`);
  }
  return made;
}

/**
 * @param {WebGL2RenderingContext} gl
 * @param {WebGLProgram} made
 * @param {number} type
 * @param {string} text
 */
function add(gl, made, type, text) {
  const shader = gl.createShader(type);
  gl.shaderSource(shader, text);
  gl.compileShader(shader);
  gl.attachShader(made, shader);
}
