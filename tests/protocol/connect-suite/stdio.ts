/**
 * How the suite talks with the programs under test: messages on standard input and output, each
 * after its length in four bytes.
 */
import { type DescMessage, fromBinary, type MessageShape, toBinary } from "@bufbuild/protobuf";

/** The suite's messages, until it closes standard input. */
export async function* readMessages<D extends DescMessage>(type: D): AsyncGenerator<MessageShape<D>> {
  let received: Buffer = Buffer.alloc(0);
  for await (const chunk of process.stdin) {
    received = Buffer.concat([received, chunk]);
    while (received.length >= 4) {
      const end = 4 + received.readUInt32BE(0);
      if (received.length < end) {
        break;
      }
      yield fromBinary(type, received.subarray(4, end));
      received = received.subarray(end);
    }
  }
}

/** Sends a message to the suite. */
export function writeMessage<D extends DescMessage>(type: D, message: MessageShape<D>): void {
  const bytes = toBinary(type, message);
  const head = Buffer.alloc(4);
  head.writeUInt32BE(bytes.byteLength, 0);
  process.stdout.write(Buffer.concat([head, bytes]));
}
