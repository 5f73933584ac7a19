#!/usr/bin/env -S MALLOC_MMAP_THRESHOLD_=1048576 node --max-semi-space-size=8
// Buffers of 1 MiB and more are given back to the system when they are let go: glibc would keep those of the
// busiest minute. V8 would let young objects grow to 64 MiB before it looks which of them are still used; it is no
// faster for that.
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
