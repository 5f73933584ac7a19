const COUNT = new Intl.NumberFormat("en");
const SHORT = new Intl.NumberFormat("en", { maximumSignificantDigits: 3 });

/** A whole number, as `1,234,567`. */
export function formatCount(count: number | bigint): string {
  return COUNT.format(count);
}

/** A rate a second, as `0.5`, `12.3` or `45,600`. */
export function formatRate(perSecond: number): string {
  return perSecond >= 1000 ? COUNT.format(Math.round(perSecond)) : SHORT.format(perSecond);
}

const BYTE_UNITS = ["B", "KiB", "MiB", "GiB", "TiB"] as const;

/** A size, as `512 B` or `1.5 MiB`. */
export function formatBytes(bytes: number): string {
  let size = bytes;
  let unit = 0;
  while (size >= 1024 && unit < BYTE_UNITS.length - 1) {
    size /= 1024;
    unit++;
  }
  return `${SHORT.format(size)} ${BYTE_UNITS[unit]}`;
}

const TIME_UNITS = [
  ["d", 86_400],
  ["h", 3600],
  ["min", 60],
  ["s", 1],
] as const;

/** A time, in its two largest units: `2 d 3 h`, `59 s`. Under a second: `350 ms`. */
export function formatDuration(ms: number): string {
  if (ms < 1000) {
    return `${SHORT.format(Math.max(0, ms))} ms`;
  }
  let seconds = Math.floor(ms / 1000);
  const parts: string[] = [];
  for (const [unit, size] of TIME_UNITS) {
    const count = Math.floor(seconds / size);
    if (count > 0 || parts.length > 0) {
      parts.push(`${count} ${unit}`);
    }
    seconds -= count * size;
    if (parts.length === 2) {
      break;
    }
  }
  return parts.filter((part, i) => i === 0 || !part.startsWith("0 ")).join(" ");
}

/** Swedes write times as ISO 8601 does. */
const TIME = new Intl.DateTimeFormat("sv", { dateStyle: "short", timeStyle: "medium" });

/** A moment in the time zone of who looks, as `2026-11-27 16:05:09`. `ms` is since 1970. */
export function formatTime(ms: number): string {
  return TIME.format(ms);
}

/** The same with its milliseconds, as `2026-11-27 16:05:09.123`. */
export function formatExactTime(ms: number): string {
  return `${formatTime(ms)}.${`${ms % 1000}`.padStart(3, "0")}`;
}
