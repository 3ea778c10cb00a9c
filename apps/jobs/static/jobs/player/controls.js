// Play, time, volume, full screen: buttons and sliders of the page's own kind, so that
// keyboards and screen readers know them.

/** Seconds that an arrow key goes. */
const STEP = 5;
/** Milliseconds. */
const AWAKE = 3000;

/** @param {number} seconds */
export function clock(seconds) {
  const whole = Math.floor(seconds || 0);
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60];
  const two = (/** @type {number} */ number) => String(number).padStart(2, "0");
  const tail = `${two(whole % 60)}`;
  return hours ? `${hours}:${two(minutes)}:${tail}` : `${minutes}:${tail}`;
}

export class Controls {
  /**
   * @param {HTMLElement} player
   * @param {HTMLElement} stage
   * @param {HTMLFormElement} panel
   * @param {HTMLVideoElement} film
   */
  constructor(player, stage, panel, film) {
    this._player = player;
    this._stage = stage;
    this._film = film;
    this._sleep = 0;
    const { play, time, volume, mute, full } = panel.elements;
    this._parts = { play, time, volume, mute, full, said: panel.querySelector(".clock") };
    this._play();
    this._time();
    this._volume();
    this._fullScreen();
    stage.addEventListener("click", () => this.toggle());
    stage.addEventListener("keydown", (event) => this._pressed(event));
  }

  toggle() {
    const film = this._film;
    // Only refused where there is nothing to play, which the page says elsewhere.
    if (film.paused || film.ended) film.play().catch(() => undefined);
    else film.pause();
  }

  _play() {
    const { play } = this._parts;
    play.addEventListener("click", () => this.toggle());
    const show = () => (play.textContent = this._film.paused ? "Play" : "Pause");
    for (const name of ["play", "pause", "ended"]) this._film.addEventListener(name, show);
    show();
  }

  _time() {
    const { time, said } = this._parts;
    const film = this._film;
    const show = () => {
      const length = Number.isFinite(film.duration) ? film.duration : 0;
      time.max = String(length);
      time.value = String(film.currentTime);
      said.textContent = `${clock(film.currentTime)} / ${clock(length)}`;
      // Whoever listens to the slider is not told of every second that passes.
      if (film.paused || document.activeElement !== time) this._sayTime();
    };
    for (const name of ["timeupdate", "durationchange", "seeking"]) film.addEventListener(name, show);
    time.addEventListener("input", () => {
      film.currentTime = Number(time.value);
      this._sayTime();
    });
    show();
  }

  _sayTime() {
    const { currentTime, duration } = this._film;
    const words = `${clock(currentTime)} of ${clock(duration)}`;
    this._parts.time.setAttribute("aria-valuetext", words);
  }

  _volume() {
    const { volume, mute } = this._parts;
    const film = this._film;
    const show = () => {
      volume.value = String(film.muted ? 0 : film.volume);
      mute.setAttribute("aria-pressed", String(film.muted));
    };
    film.addEventListener("volumechange", show);
    mute.addEventListener("click", () => (film.muted = !film.muted));
    volume.addEventListener("input", () => {
      film.volume = Number(volume.value);
      film.muted = film.volume === 0;
    });
    show();
  }

  _fullScreen() {
    const { full } = this._parts;
    full.hidden = !document.fullscreenEnabled;
    full.addEventListener("click", () => this._fill());
    document.addEventListener("fullscreenchange", () => {
      const isFull = document.fullscreenElement === this._player;
      full.textContent = isFull ? "Leave full screen" : "Full screen";
      // There the keys work, and the controls are out of the way.
      if (isFull) this._stage.focus();
      else full.focus();
    });
    this._player.addEventListener("pointermove", () => this._wake());
    this._player.addEventListener("pointerdown", () => this._wake());
  }

  /** Controls over a full screen are seen for a while. */
  _wake() {
    window.clearTimeout(this._sleep);
    this._player.dataset.awake = "";
    this._sleep = window.setTimeout(() => delete this._player.dataset.awake, AWAKE);
  }

  _fill() {
    if (document.fullscreenElement) document.exitFullscreen();
    // Refused by a browser's settings: the page stays as it is.
    else this._player.requestFullscreen().catch(() => undefined);
  }

  /**
   * Only while the picture itself has the focus: no key means anything elsewhere.
   * @param {KeyboardEvent} event
   */
  _pressed(event) {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    const film = this._film;
    const actions = new Map([
      [" ", () => this.toggle()],
      ["ArrowLeft", () => (film.currentTime = Math.max(0, film.currentTime - STEP))],
      ["ArrowRight", () => (film.currentTime = Math.min(film.duration || 0, film.currentTime + STEP))],
      ["f", () => this._fill()],
    ]);
    const action = actions.get(event.key);
    if (!action) return;
    event.preventDefault();
    action();
  }
}
