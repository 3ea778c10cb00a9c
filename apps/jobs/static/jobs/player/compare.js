// The source over the picture, at the same moment: its left part, up to the split.
//
// The source is shown by the browser itself, not through WebGL, so it looks as the person
// knows it: turned as its file says, in HDR where the screen has it.

/** Seconds that the source may be off before it is made to jump; less it catches up. */
const FAR = 0.25;
const NEAR = 0.015;

export class Compare {
  /**
   * @param {HTMLElement} stage
   * @param {HTMLVideoElement} film
   * @param {string} address of the source
   * @param {() => void} failed when the browser cannot play it
   */
  constructor(stage, film, address, failed) {
    this._stage = stage;
    this._film = film;
    this._address = address;
    this._failed = failed;
    /** @type {HTMLVideoElement | null} */
    this._source = null;
    for (const name of ["play", "pause", "seeking", "seeked", "ratechange", "timeupdate"]) {
      film.addEventListener(name, () => this._follow());
    }
  }

  /** @param {number} share of the stage's width that the source has, 0 to 1 */
  set split(share) {
    this._stage.style.setProperty("--split", `${100 * (1 - share)}%`);
  }

  start() {
    const source = document.createElement("video");
    source.className = "source";
    source.muted = true;
    source.playsInline = true;
    source.preload = "auto";
    source.setAttribute("aria-hidden", "true");
    source.addEventListener("error", () => this._refuse());
    source.addEventListener("loadedmetadata", () => {
      // Some browsers play the sound of a film whose pictures they do not know.
      if (source.videoWidth) this._follow();
      else this._refuse();
    });
    source.src = this._address;
    this._source = source;
    this._stage.append(source);
  }

  _refuse() {
    this.stop();
    this._failed();
  }

  stop() {
    this._source?.pause();
    this._source?.removeAttribute("src");
    this._source?.remove();
    this._source = null;
  }

  /** Be where the film is, and do what it does. */
  _follow() {
    const { _source: source, _film: film } = this;
    if (!source || source.readyState < HTMLMediaElement.HAVE_METADATA) return;
    const late = film.currentTime - source.currentTime;
    const isPlaying = !film.paused && !film.ended && !film.seeking;
    // First of all: what plays while it seeks comes out a little late.
    if (!isPlaying && !source.paused) source.pause();
    if (Math.abs(late) > (isPlaying ? FAR : 0)) source.currentTime = film.currentTime;
    const hurry = Math.abs(late) > NEAR ? Math.max(-0.1, Math.min(0.1, late)) : 0;
    source.playbackRate = film.playbackRate * (1 + hurry);
    if (isPlaying && source.paused) source.play().catch(() => undefined);
  }
}
