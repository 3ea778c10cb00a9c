// Sizes and times as the site's pages say them.

const UNITS = ["bytes", "kB", "MB", "GB", "TB"];

export function unitOf(bytes) {
  return Math.max(0, Math.floor(Math.log10(Math.max(1, bytes)) / 3));
}

export function number(bytes, unit) {
  const value = bytes / 1000 ** unit;
  return unit > 1 && value < 100 ? value.toFixed(1) : String(Math.round(value));
}

export function size(bytes) {
  const unit = unitOf(bytes);
  return `${number(bytes, unit)} ${UNITS[unit]}`;
}

export function time(seconds) {
  if (seconds < 60) return "less than a minute";
  const minutes = Math.round(seconds / 60);
  return minutes < 100 ? `about ${minutes} min` : `about ${Math.round(minutes / 60)} h`;
}
