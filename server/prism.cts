#!/usr/bin/env -S node --max-semi-space-size=8
// V8 lets young objects grow to 64 MiB else before it looks which of them are still used; it is no faster for that.
//
// What is published starts here, on whatever Node there is: in words that an old one can read too, it says which one it takes.
const manifest: { engines: { node: string } } = require("../../package.json");
const needed = Number.parseInt(manifest.engines.node.replace(/^\D+/, ""), 10);

if (Number.parseInt(process.versions.node, 10) < needed) {
  process.stderr.write(`prism needs Node.js ${needed} or newer; this is ${process.versions.node}\n`);
  process.exitCode = 1;
} else {
  import("./main.ts");
}
