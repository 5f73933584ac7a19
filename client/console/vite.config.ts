/** Builds the console into `dist-console/`, which the admin port serves: `make console`. */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { constants, gzipSync } from "node:zlib";
import { defineConfig, type Plugin } from "vite";
import { shrinkDescriptors } from "../shrink-descriptors.ts";

const OUT = process.env.PRISM_CONSOLE_OUT ?? fileURLToPath(new URL("../../dist-console", import.meta.url));

export default defineConfig({
  root: import.meta.dirname,
  // The page is at `/`, everything that it loads is here.
  base: "/console/",
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  plugins: [smallDescriptors(), gzipBesides(OUT)],
  build: { outDir: OUT, emptyOutDir: true, target: "es2023", modulePreload: { polyfill: false } },
  logLevel: "warn",
});

/** Does what the client's package has done too. */
function smallDescriptors(): Plugin {
  return {
    name: "small-descriptors",
    transform: (code, id) => (/\/gen\/.*_pb\.ts$/.test(id) ? shrinkDescriptors(code) : undefined),
  };
}

/** Writes each file once more in gzip, so that the server compresses nothing. */
function gzipBesides(folder: string): Plugin {
  return {
    name: "gzip-besides",
    closeBundle() {
      const files = readdirSync(folder, { recursive: true, withFileTypes: true });
      for (const file of files.filter((found) => found.isFile())) {
        const path = join(file.parentPath, file.name);
        writeFileSync(`${path}.gz`, gzipSync(readFileSync(path), { level: constants.Z_BEST_COMPRESSION }));
      }
    },
  };
}
