/** Disks that fill up: file systems of a few MiB in memory, which take root on Linux. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A new file system of this size; answers its folder. */
export function mountSmallDisk(size = "4m"): string {
  const mountPoint = mkdtempSync(join(tmpdir(), "prism-full-disk-"));
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", `size=${size}`, "tmpfs", mountPoint], { stdio: "ignore" });
  } catch (error) {
    rmdirSync(mountPoint);
    throw error;
  }
  return mountPoint;
}

/** Removes a file system and all in it. */
export function unmountSmallDisk(mountPoint: string): void {
  execFileSync("umount", [mountPoint]);
  rmdirSync(mountPoint);
}

/** Whether there can be such disks here. If not, says so with what is tested all the same. */
export function canMountSmallDisk(insteadTested: string): boolean {
  try {
    unmountSmallDisk(mountSmallDisk());
    return true;
  } catch {
    console.warn(
      `A REAL FULL DISK IS NOT TESTED HERE: mounting a tmpfs takes root on Linux. ${insteadTested}`,
    );
    return false;
  }
}
