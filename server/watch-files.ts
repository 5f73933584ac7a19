import { unwatchFile, watchFile } from "node:fs";

/** How often the files are looked at. */
const LOOK_MS = 500;

/** A file that has not changed for this long is not being written any more. */
const SETTLE_MS = 250;

/**
 * Calls `changed` a moment after the last change of one of the files: its content, its place, or
 * whether it is there. It asks the file system twice a second, and follows links: so it finds a
 * file that an editor replaces, the links of a Kubernetes volume, and what happens on a disk of
 * another machine, where there are no events. The returned function ends that.
 */
export function watchFiles(files: readonly string[], changed: () => void): () => void {
  let settled: NodeJS.Timeout | undefined;
  const onChange = () => {
    clearTimeout(settled);
    settled = setTimeout(changed, SETTLE_MS).unref();
  };
  for (const file of files) {
    watchFile(file, { interval: LOOK_MS, persistent: false }, onChange);
  }
  return () => {
    clearTimeout(settled);
    for (const file of files) {
      unwatchFile(file, onChange);
    }
  };
}
