// Subtitles over the canvas: the same words at the same place for each eye, so that they
// hang in the screen plane.

export class Captions {
  /**
   * @param {HTMLElement} stage
   * @param {HTMLVideoElement} film
   * @param {HTMLSelectElement} choice its values are numbers of the film's text tracks
   */
  constructor(stage, film, choice) {
    this._tracks = film.textTracks;
    this._choice = choice;
    this._place = document.createElement("div");
    this._place.className = "captions";
    this._place.setAttribute("aria-hidden", "true"); // as the canvas: the film has its own
    stage.append(this._place);
    for (const option of choice.options) name(option);
    for (const track of this._tracks) track.addEventListener("cuechange", () => this._write());
    choice.addEventListener("change", () => this._choose());
    this._choose();
  }

  /** @param {import("./views.js").View} view */
  show({ panes, columns, squeezed }) {
    this._place.style.setProperty("--columns", String(columns));
    this._place.dataset.squeezed = squeezed ? (columns > 1 ? "across" : "down") : "";
    this._place.replaceChildren(
      ...panes.map(() => {
        const pane = document.createElement("div");
        pane.append(document.createElement("p"));
        return pane;
      }),
    );
    this._write();
  }

  /** The browser's own player shows them from now on. */
  close() {
    this._place.remove();
    for (const track of this._tracks) if (track.mode === "hidden") track.mode = "showing";
  }

  _choose() {
    for (const [number, track] of [...this._tracks].entries()) {
      // A hidden track is followed, and drawn by us.
      track.mode = String(number) === this._choice.value ? "hidden" : "disabled";
    }
    this._write();
  }

  _write() {
    const track = this._tracks[Number(this._choice.value)];
    const cues = this._choice.value && track ? [...(track.activeCues ?? [])] : [];
    for (const words of this._place.querySelectorAll("p")) {
      // Made by the browser's own parser of WebVTT, which knows no scripts.
      words.replaceChildren(
        ...cues.flatMap((cue, number) => [
          ...(number ? [document.createElement("br")] : []),
          /** @type {VTTCue} */ (cue).getCueAsHTML(),
        ]),
      );
    }
  }
}

/**
 * In words, where the film says the language and the browser knows it.
 * @param {HTMLOptionElement} option
 */
function name(option) {
  const { language } = option.dataset;
  if (!language) return;
  try {
    option.textContent = new Intl.DisplayNames(["en"], { type: "language" }).of(language);
  } catch {
    option.textContent = language; // what is no language's code
  }
}
