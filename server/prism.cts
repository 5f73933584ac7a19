#!/usr/bin/env -S MALLOC_MMAP_THRESHOLD_=1048576 node --max-semi-space-size=8
// The first line sets two bounds on memory. glibc returns freed buffers of 1 MiB and more to the
// system; otherwise it would keep those of the busiest minute. V8 collects young objects at 8 MiB;
// waiting until 64 MiB would not make it faster.
//
// The published program starts here, in syntax that an old Node can read, so that it can say which
// Node it needs.
const manifest: { engines: { node: string } } = require("../../package.json");
const needed = Number.parseInt(manifest.engines.node.replace(/^\D+/, ""), 10);

if (Number.parseInt(process.versions.node, 10) < needed) {
  process.stderr.write(`prism needs Node.js ${needed} or newer; this is ${process.versions.node}\n`);
  process.exitCode = 1;
} else {
  import("./main.ts");
}
