/** How long does encoding a message take, with a compiled encoder and with protobuf-es? */
import { create, type DescMessage, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { KeyValueBasicInterface } from "../gen/prism/interfaces/keyvalue/keyvalue_basic_pb.ts";
import { KeyValueScanInterface } from "../gen/prism/interfaces/keyvalue/keyvalue_scan_pb.ts";
import { encoderOf } from "../server/wire/encoder.ts";
import { MessageWriter } from "../server/wire/message-writer.ts";
import { pinThisProcess } from "./harness/process.ts";
import { compared, interleaved, report, writeReport } from "./harness/report.ts";

const ROUNDS = 5;
const MESSAGES = 300_000;

pinThisProcess();
const writer = new MessageWriter();

/** Messages a second. */
function rate(encode: () => unknown): () => Promise<number> {
  return async () => {
    const startedAtMs = performance.now();
    for (let i = 0; i < MESSAGES; i++) {
      encode();
    }
    return MESSAGES / ((performance.now() - startedAtMs) / 1000);
  };
}

async function ask<D extends DescMessage>(desc: D, init: MessageInitShape<D>): Promise<void> {
  const compiled = encoderOf(desc);
  const contenders = {
    compiled: rate(() => {
      compiled(init as object, writer);
      return writer.take();
    }),
    "protobuf-es": rate(() => toBinary(desc, create(desc, init))),
  };
  await interleaved(contenders, 1);
  const runs = await interleaved(contenders, ROUNDS);
  report(`${desc.typeName}, 100 bytes`, compared(runs, "messages/s"), runs);
}

const value = Buffer.alloc(100, "v");
await ask(KeyValueBasicInterface.method.get.output, { value });
await ask(KeyValueScanInterface.method.scan.output, { key: "key:000000001", value });
writeReport("encoder");
