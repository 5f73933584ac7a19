import { execFile } from "node:child_process";
import { chmod, mkdir, readdir, readFile, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { createCertificates } from "../helpers/certificates.ts";
import { MAIN, NODE_FLAGS, temporaryFolder } from "../helpers/process.ts";

/** The project's folder. */
export const ROOT = fileURLToPath(new URL("../..", import.meta.url));

/** The folders of the client's sources. */
const CLIENT_SOURCES = ["client", "gen", "http2"];

/**
 * What is not linked: what is made here, and what would be read or written in the project itself.
 */
const LEFT_OUT = ["package.json", "node_modules", "data", "dist", "dist-client", "dist-console", ".git"];

/** What matters here of a package's manifest. */
interface Manifest {
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
    if (!LEFT_OUT.includes(name)) {
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
  await writeFile(to("package.json"), await manifestOfSources(join(ROOT, "package.json")));
  await linkClient(to("node_modules/prism-client"));
  // The last files to be made, so that make neither installs nor builds.
  await writeFile(to("node_modules/.installed"), "");
  await mkdir(to("dist-console"));
  await writeFile(to("dist-console/index.html"), "");

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

/** Makes the package `prism-client`, with its sources in place of built code. */
async function linkClient(folder: string): Promise<void> {
  await mkdir(folder);
  await promisify(execFile)(process.execPath, [join(ROOT, "client/manifest.ts"), folder]);
  const manifest = join(folder, "package.json");
  await writeFile(manifest, await manifestOfSources(manifest));
  for (const name of CLIENT_SOURCES) {
    await symlink(join(ROOT, name), join(folder, name));
  }
}

/** A manifest whose exports are the sources. */
async function manifestOfSources(path: string): Promise<string> {
  const manifest: Manifest = JSON.parse(await readFile(path, "utf8"));
  const sources = Object.entries(manifest.exports ?? {}).map(([name, file]) => [
    name,
    (typeof file === "string" ? file : file.default).replace(/^\.\/(?:dist\/)?(.*)\.js$/, "./$1.ts"),
  ]);
  return JSON.stringify({ ...manifest, exports: Object.fromEntries(sources) });
}
