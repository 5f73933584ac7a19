/**
 * Makes a package of the built client: `manifest.ts FOLDER` writes package.json, README.md and
 * LICENSE beside the code, and makes descriptors smaller. The project's package.json gives what the
 * two packages share; the imports in the code give the dependencies.
 */
import { cpSync, globSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { readWith, shrinkDescriptors } from "./shrink-descriptors.ts";

interface ProjectManifest {
  readonly version: string;
  readonly license: string;
  readonly dependencies: Readonly<Record<string, string>>;
  readonly devDependencies: Readonly<Record<string, string>>;
}

/** The libraries that the adapters are for. Who uses one has its library, and no other. */
const ADAPTER_PEERS = {
  "@fastify/session": "^11.1.0",
  "express-session": "^1.18.0",
  keyv: "^5.5.4 || ^6.0.0",
  unstorage: "^1.17.0",
};

const DESCRIPTION = "A client of a Prism data access gateway, for Node and browsers.";

/**
 * An import of another package, not of a file and not of Node's own modules: `@scope/name` or
 * `name`.
 */
const IMPORT = /^(?:import|export|\}).* from "(?!\.|node:)((?:@[^/"]+\/)?[^/"]+)/gm;

const ROOT = new URL("../", import.meta.url);
const read = (path: string): string => readFileSync(new URL(path, ROOT), "utf8");

function dependenciesOf(folder: string, project: ProjectManifest): Record<string, string> {
  const names = new Set<string>();
  for (const file of globSync("**/*.{js,d.ts}", { cwd: folder })) {
    for (const [, name = ""] of readFileSync(join(folder, file), "utf8").matchAll(IMPORT)) {
      names.add(name);
    }
  }
  const versions = { ...project.devDependencies, ...project.dependencies };
  return Object.fromEntries(
    [...names].sort().map((name) => {
      const version = versions[name];
      if (version === undefined) {
        throw new Error(`the client imports ${name}, which package.json does not have`);
      }
      return [name, version];
    }),
  );
}

/** A page that loads the package loads less. */
function shrinkGenerated(folder: string): void {
  for (const file of globSync("gen/**/*_pb.js", { cwd: folder })) {
    const path = join(folder, file);
    const reader = `${"../".repeat(file.split("/").length - 1)}client/file-desc.js`;
    writeFileSync(path, readWith(reader, shrinkDescriptors(readFileSync(path, "utf8"))));
  }
}

const [, , folder] = process.argv;
if (folder === undefined) {
  throw new Error("usage: manifest.ts FOLDER");
}
const project: ProjectManifest = JSON.parse(read("package.json"));
const entry = (path: string) => ({ types: `./${path}.d.ts`, default: `./${path}.js` });
const manifest = {
  name: "prism-client",
  version: project.version,
  description: DESCRIPTION,
  license: project.license,
  type: "module",
  sideEffects: false,
  exports: {
    ".": entry("client/node"),
    "./web": entry("client/web"),
    "./keyv": entry("client/adapters/keyv"),
    "./unstorage": entry("client/adapters/unstorage"),
    "./session": entry("client/adapters/session"),
    "./gen/*": entry("gen/*"),
  },
  files: ["client", "gen", "http2"],
  engines: { node: ">=22" },
  dependencies: dependenciesOf(folder, project),
  peerDependencies: ADAPTER_PEERS,
  peerDependenciesMeta: Object.fromEntries(
    Object.keys(ADAPTER_PEERS).map((name) => [name, { optional: true }]),
  ),
};
shrinkGenerated(folder);
writeFileSync(join(folder, "package.json"), `${JSON.stringify(manifest, undefined, 2)}\n`);
cpSync(new URL("docs/client.md", ROOT), join(folder, "README.md"));
cpSync(new URL("LICENSE", ROOT), join(folder, "LICENSE"));
