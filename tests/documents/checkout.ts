import { execFile } from "node:child_process";
import { chmod, mkdir, readdir, readFile, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { createCertificates } from "../helpers/certificates.ts";
import { MAIN, NODE_FLAGS, temporaryFolder } from "../helpers/process.ts";

/** The project's folder. */
export const ROOT = fileURLToPath(new URL("../..", import.meta.url));

/** The folders of the sources of both packages. */
const SOURCES = ["client", "gen", "http2", "server"];

/** What a manifest says of a package. */
interface Manifest {
  readonly name: string;
  readonly exports?: Readonly<Record<string, string | { readonly default: string }>>;
}

/** Files that configurations on the pages name. */
const TLS_FILES = ["server.crt", "server.key", "ca.pem"];

/**
 * Makes a folder that looks like a checkout to what the pages run, so that data and files of theirs
 * are in none. Of the project's own files it has links. `prism` and the packages' programs are in
 * its `bin`; `prism-client` and `prism-gateway` are the checkout's sources.
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
  await mkdir(to(".session/bin"), { recursive: true });
  for (const manifest of [
    await clientManifest(to(".session")),
    await readFile(join(ROOT, "package.json"), "utf8"),
  ]) {
    await linkSources(to("node_modules"), JSON.parse(manifest));
  }
  // The last file to be made, so that make does not install.
  await writeFile(to("node_modules/.installed"), "");

  using certificates = createCertificates();
  certificates.create("server");
  for (const file of TLS_FILES) {
    await writeFile(to(file), certificates.pem(file.endsWith(".key") ? "server.key" : "server.crt"));
  }
  const prism = to(".session/bin/prism");
  const node = to("node_modules/.bin/node");
  await writeFile(prism, `#!/bin/sh\nexec '${node}' ${NODE_FLAGS.join(" ")} '${MAIN}' "$@"\n`);
  await chmod(prism, 0o755);
  return {
    ...folder,
    bin: `${to(".session/bin")}:${to("node_modules/.bin")}`,
  };
}

/** The manifest of the client, as a build makes it. */
async function clientManifest(folder: string): Promise<string> {
  await promisify(execFile)(process.execPath, [join(ROOT, "client/manifest.ts"), folder]);
  return await readFile(join(folder, "package.json"), "utf8");
}

/** Puts a package into `folder`, with the sources of this checkout in place of built code. */
async function linkSources(folder: string, { name, exports = {} }: Manifest): Promise<void> {
  const sources = Object.entries(exports).map(([path, file]) => [
    path,
    (typeof file === "string" ? file : file.default).replace(/^\.\/(?:dist\/)?(.*)\.js$/, "./$1.ts"),
  ]);
  const manifest = { name, type: "module", exports: Object.fromEntries(sources) };
  await mkdir(join(folder, name));
  await writeFile(join(folder, name, "package.json"), JSON.stringify(manifest));
  for (const each of SOURCES) {
    await symlink(join(ROOT, each), join(folder, name, each));
  }
}
