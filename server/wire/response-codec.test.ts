import { create, toJsonString } from "@bufbuild/protobuf";
import fc from "fast-check";
import { expect, test } from "vitest";
import { KeyValueScanInterface } from "../../gen/prism/interfaces/keyvalue/keyvalue_scan_pb.ts";
import { anyText } from "../../tests/helpers/any-message.ts";
import { createResponseCodec } from "./response-codec.ts";
import { JSON_OPTIONS } from "./wire-format.ts";

const { output } = KeyValueScanInterface.method.scan;

test.each([0, 1, 48 * 1024, 64 * 1024, 144 * 1024])(
  "JSON with a value of %d bytes and a few more is that of protobuf-es",
  (bytes) => {
    const { message } = createResponseCodec(output);
    const key = fc.oneof(anyText, fc.constant('"value":""'));
    const more = fc.uint8Array({ minLength: 0, maxLength: 4 });
    fc.assert(
      fc.property(key, more, (key, more) => {
        const response = { key, value: new Uint8Array(bytes + more.length).fill(0xfe) };
        response.value.set(more, bytes);
        // A view of a larger array.
        const within = Buffer.concat([Buffer.of(1, 2, 3), response.value]).subarray(3);
        const expected = toJsonString(output, create(output, response), JSON_OPTIONS);
        const json = Buffer.from(message({ key, value: within }, false)).toString();
        // Compared here, because printing a hundred KB of base64 would not help.
        expect(json === expected).toBe(true);
      }),
      { numRuns: 30 },
    );
  },
);
