// Is a file a film? What is surely something else is refused before it travels. What is
// not known here may still be one: the site looks inside.

const LOOKED_AT = 4096; // bytes

// Where in the file, which bytes (as Latin letters), and what it then is.
const OTHERS = [
  [0, "%PDF-", "a PDF document"],
  [0, "PK\x03\x04", "a ZIP archive or an office document"],
  [0, "Rar!\x1a\x07", "a RAR archive"],
  [0, "7z\xbc\xaf\x27\x1c", "a 7-Zip archive"],
  [0, "\x1f\x8b", "a gzip archive"],
  [0, "\xfd7zXZ\x00", "an xz archive"],
  [0, "\x89PNG\r\n\x1a\n", "a picture"],
  [0, "\xff\xd8\xff", "a picture"],
  [0, "GIF8", "a picture"],
  [0, "II*\x00", "a picture"],
  [0, "MM\x00*", "a picture"],
  [4, "ftypheic", "a picture"],
  [4, "ftypmif1", "a picture"],
  [4, "ftypavif", "a picture"],
  [8, "WEBP", "a picture"],
  [0, "ID3", "a sound file"],
  [0, "fLaC", "a sound file"],
  [4, "ftypM4A ", "a sound file"],
  [8, "WAVE", "a sound file"],
  [0, "\x7fELF", "a program"],
  [0, "MZ", "a program"],
];

// What it is instead of a film; empty when it may be one.
export async function otherKind(file) {
  const bytes = new Uint8Array(await file.slice(0, LOOKED_AT).arrayBuffer());
  const head = Array.from(bytes, (byte) => String.fromCharCode(byte)).join("");
  const known = OTHERS.find(([at, mark]) => head.startsWith(mark, at));
  if (known) return known[2];
  // No container of films is without a control character for so long.
  return /^[\t\n\r\x20-\x7e\x80-\xff]*$/.test(head) ? "a text" : "";
}
