import { type FileHandle, open, realpath, rename, rm, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";

/** The file is another one than was read, so it was not replaced. */
export class ChangedMeanwhile extends Error {
  override readonly name = "ChangedMeanwhile";
}

/** What a file was when it was read; another content has another mark. */
export async function markOf(path: string): Promise<string> {
  const { dev, ino, size, mtimeNs, ctimeNs } = await stat(path, { bigint: true });
  return [dev, ino, size, mtimeNs, ctimeNs].join(" ");
}

/** The name of the file that takes the new text until it is whole. A crash leaves at most one. */
export function draftOf(path: string): string {
  return join(dirname(path), `.${basename(path)}.new`);
}

/**
 * Puts another text in the place of a file, so that at any moment, also after a crash, it is whole:
 * the old one or the new one. Mode and owner stay. A link is followed. On disk when it resolves.
 * Throws {@link ChangedMeanwhile} if the file has not `mark` any more, and Node's error if
 * something fails; the file is the old one then.
 */
export async function replaceFile(path: string, text: string, mark: string): Promise<void> {
  const target = await realpath(path);
  const { mode, uid, gid } = await stat(target);
  const draft = draftOf(target);
  await rm(draft, { force: true });
  let file: FileHandle | undefined;
  try {
    file = await open(draft, "wx", mode);
    const own = await file.stat();
    if (own.uid !== uid || own.gid !== gid) {
      await file.chown(uid, gid);
    }
    // After the owner, because a change of that can take bits away; and whatever the umask says.
    await file.chmod(mode & 0o7777);
    await file.writeFile(text);
    await file.sync();
    await file.close();
    if ((await markOf(path)) !== mark) {
      throw new ChangedMeanwhile();
    }
    await rename(draft, target);
  } catch (error) {
    await file?.close().catch(() => {});
    await rm(draft, { force: true });
    throw error;
  }
  await syncFolder(dirname(target));
}

/** Without it the new name could be lost at a power failure. */
async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
