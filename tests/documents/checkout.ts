import { chmod, mkdir, readdir, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { createCertificates } from "../helpers/certificates.ts";
import { MAIN, NODE_FLAGS, temporaryFolder } from "../helpers/process.ts";

/** The project's folder. */
export const ROOT = fileURLToPath(new URL("../..", import.meta.url));

/** What the pages' commands and programs import as the package `prism-client`. */
const CLIENT = {
  name: "prism-client",
  type: "module",
  exports: { ".": "./client/node.ts", "./*": "./client/*.ts", "./gen/*": "./gen/*.ts" },
};

/** Files that configurations on the pages name. */
const TLS_FILES = ["server.crt", "server.key", "ca.pem"];

/**
 * Makes a folder that looks like a checkout to what the pages run, so that data and files of theirs
 * are in none. Of the project's own files it has links. `prism` and the packages' programs are in
 * its `bin`.
 */
export async function makeCheckout(): Promise<{ path: string; bin: string } & AsyncDisposable> {
  const folder = await temporaryFolder();
  const to = (...names: string[]) => join(folder.path, ...names);
  for (const name of await readdir(ROOT)) {
    if (!["node_modules", "data", "dist", "dist-client", ".git"].includes(name)) {
      await symlink(join(ROOT, name), to(name));
    }
  }
  await mkdir(to("node_modules"));
  for (const name of await readdir(join(ROOT, "node_modules"))) {
    if (name !== ".installed") {
      await symlink(join(ROOT, "node_modules", name), to("node_modules", name));
    }
  }
  await mkdir(to("node_modules/prism-client"));
  await writeFile(to("node_modules/prism-client/package.json"), JSON.stringify(CLIENT));
  for (const name of ["client", "gen"]) {
    await symlink(join(ROOT, name), to("node_modules/prism-client", name));
  }
  // The last file to be made, so that make does not install.
  await writeFile(to("node_modules/.installed"), "");

  using certificates = createCertificates();
  certificates.create("server");
  for (const file of TLS_FILES) {
    await writeFile(to(file), certificates.pem(file.endsWith(".key") ? "server.key" : "server.crt"));
  }
  await mkdir(to(".session/bin"), { recursive: true });
  const prism = to(".session/bin/prism");
  const node = to("node_modules/.bin/node");
  await writeFile(prism, `#!/bin/sh\nexec '${node}' ${NODE_FLAGS.join(" ")} '${MAIN}' "$@"\n`);
  await chmod(prism, 0o755);
  return {
    ...folder,
    bin: `${to(".session/bin")}:${to("node_modules/.bin")}`,
  };
}
