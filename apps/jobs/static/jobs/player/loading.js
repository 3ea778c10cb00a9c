// Gets the film so that WebGL may see it.
//
// A film from our own address always may be seen. One from a bucket only if the bucket's
// CORS rules name this site: then it is asked for again with `crossorigin`, and if that is
// refused, without, to be shown by the browser alone.

/**
 * @param {HTMLVideoElement} film
 * @param {boolean} isElsewhere it comes from another origin
 * @returns {Promise<"visible" | "hidden" | "unplayable">} whether WebGL may see it
 */
export async function load(film, isElsewhere) {
  if (!isElsewhere) return (await isLoaded(film)) ? "visible" : "unplayable";
  film.crossOrigin = "anonymous";
  film.load();
  if (await isLoaded(film)) return "visible";
  film.removeAttribute("crossorigin");
  film.load();
  return (await isLoaded(film)) ? "hidden" : "unplayable";
}

/**
 * A link to a bucket lives for an hour. When it has ended in the middle of the film, a new
 * one is asked for, once for each place, and the film goes on where it was.
 * @param {HTMLVideoElement} film
 */
export function keepGoing(film) {
  let last = -1;
  film.addEventListener("error", () => {
    const at = film.currentTime;
    if (at === 0 || at === last) return;
    last = at;
    film.load();
    film.currentTime = at;
    film.play().catch(() => undefined);
  });
}

/** @param {HTMLVideoElement} film */
function isLoaded(film) {
  if (film.error) return Promise.resolve(false);
  if (film.readyState >= HTMLMediaElement.HAVE_METADATA) return Promise.resolve(film.videoWidth > 0);
  return new Promise((resolve) => {
    const stop = new AbortController();
    const end = (/** @type {boolean} */ isThere) => {
      stop.abort();
      resolve(isThere);
    };
    const { signal } = stop;
    film.addEventListener("loadedmetadata", () => end(film.videoWidth > 0), { signal });
    film.addEventListener("error", () => end(false), { signal });
  });
}
