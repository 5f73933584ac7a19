import { isUtf8 } from "node:buffer";

const LINE_FEED = 0x0a;

/**
 * The lines of a stream without their line feeds, those of a chunk at a time. `undefined` stands
 * for a line that is not UTF-8, or has more than `maxBytes`; after such a long one there is nothing
 * more. Only one line is kept that is not whole yet.
 */
export async function* readLines(
  stream: AsyncIterable<Buffer>,
  maxBytes: number,
): AsyncGenerator<readonly (string | undefined)[], void, undefined> {
  let rest: Buffer[] = [];
  let restBytes = 0;
  for await (const chunk of stream) {
    const end = chunk.lastIndexOf(LINE_FEED);
    if (end >= 0) {
      yield textsOf(Buffer.concat([...rest, chunk.subarray(0, end)]));
      rest = [];
      restBytes = 0;
    }
    rest.push(chunk.subarray(end + 1));
    restBytes += chunk.length - end - 1;
    if (restBytes > maxBytes) {
      yield [undefined];
      return;
    }
  }
  if (restBytes > 0) {
    yield textsOf(Buffer.concat(rest));
  }
}

function textsOf(block: Buffer): (string | undefined)[] {
  if (isUtf8(block)) {
    return block.toString("utf8").split("\n");
  }
  const lines: (string | undefined)[] = [];
  for (let start = 0; start <= block.length; ) {
    const found = block.indexOf(LINE_FEED, start);
    const end = found < 0 ? block.length : found;
    const line = block.subarray(start, end);
    lines.push(isUtf8(line) ? line.toString("utf8") : undefined);
    start = end + 1;
  }
  return lines;
}
