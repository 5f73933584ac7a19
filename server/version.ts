import { readFileSync } from "node:fs";

/** Prism's version: from package.json, one folder up in a checkout and two in the built package. */
export function readVersion(): string {
  for (const path of ["../package.json", "../../package.json"]) {
    try {
      const parsed: unknown = JSON.parse(readFileSync(new URL(path, import.meta.url), "utf8"));
      if (typeof parsed === "object" && parsed !== null && "version" in parsed) {
        return String(parsed.version);
      }
    } catch {
      // Not there; try the next.
    }
  }
  return "unknown";
}
