import { describe, expect, it } from "vitest";
import { ErrorCode } from "./errors.ts";
import type { HeaderList } from "./header-list.ts";
import { HpackDecoder } from "./hpack-decoder.ts";
import { encodeHeaders, HpackEncoder } from "./hpack-encoder.ts";
import { decodeHuffman, encodeHuffman, huffmanBytes } from "./huffman.ts";

const hex = (text: string) => Buffer.from(text.replaceAll(/\s/g, ""), "hex");

/** Back to pairs, pseudo-header fields first. */
function pairs(list: HeaderList): string[] {
  const pseudo: [string, string][] = [
    [":status", list.status === 0 ? "" : String(list.status)],
    [":method", list.method],
    [":scheme", list.scheme],
    [":path", list.path],
    [":authority", list.authority],
  ];
  return [...pseudo.filter(([, value]) => value !== "").flat(), ...list.fields];
}

const GET = [":method", "GET", ":scheme", "http", ":path", "/", ":authority", "www.example.com"];
const REQUESTS = [
  GET,
  [...GET, "cache-control", "no-cache"],
  [
    ":method",
    "GET",
    ":scheme",
    "https",
    ":path",
    "/index.html",
    ":authority",
    "www.example.com",
    "custom-key",
    "custom-value",
  ],
];
const date21 = "Mon, 21 Oct 2013 20:13:21 GMT";
const rest = ["location", "https://www.example.com"];
const RESPONSES = [
  [":status", "302", "cache-control", "private", "date", date21, ...rest],
  [":status", "307", "cache-control", "private", "date", date21, ...rest],
  [
    ...[":status", "200", "cache-control", "private", "date", "Mon, 21 Oct 2013 20:13:22 GMT", ...rest],
    ...["content-encoding", "gzip", "set-cookie", "foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1"],
  ],
];

/**
 * RFC 7541 appendix C.3 to C.6: blocks of one connection, what they mean, and the table's bytes
 * after each.
 */
const APPENDIX_C = [
  {
    name: "C.3 requests",
    table: 4096,
    lists: REQUESTS,
    sizes: [57, 110, 164],
    huffman: false,
    blocks: [
      "8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
      "8286 84be 5808 6e6f 2d63 6163 6865",
      "8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65",
    ],
  },
  {
    name: "C.4 requests, Huffman",
    table: 4096,
    lists: REQUESTS,
    sizes: [57, 110, 164],
    huffman: true,
    blocks: [
      "8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff",
      "8286 84be 5886 a8eb 1064 9cbf",
      "8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf",
    ],
  },
  {
    name: "C.5 responses, evictions",
    table: 256,
    lists: RESPONSES,
    sizes: [222, 222, 215],
    huffman: false,
    blocks: [
      `4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133
       3a32 3120 474d 546e 1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70 6c65 2e63 6f6d`,
      "4803 3330 37c1 c0bf",
      `88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d 54c0 5a04 677a
       6970 7738 666f 6f3d 4153 444a 4b48 514b 425a 584f 5157 454f 5049 5541 5851 5745 4f49 553b 206d
       6178 2d61 6765 3d33 3630 303b 2076 6572 7369 6f6e 3d31`,
    ],
  },
  {
    name: "C.6 responses, Huffman, evictions",
    table: 256,
    lists: RESPONSES,
    sizes: [222, 222, 215],
    huffman: true,
    blocks: [
      `4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e 919d
       29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3`,
      "4883 640e ffc1 c0bf",
      `88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7 821d
       d7f2 e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed 4ee5 b106
       3d50 07`,
    ],
  },
];

describe("RFC 7541 appendix C", () => {
  for (const { name, table, lists, sizes, huffman, blocks } of APPENDIX_C) {
    it(`decodes ${name}`, () => {
      const decoder = new HpackDecoder(table, 16384);
      for (const [i, block] of blocks.entries()) {
        const bytes = hex(block);
        expect(pairs(decoder.decode(bytes, 0, bytes.length))).toEqual(lists[i]);
        expect(decoder.table.bytes).toBe(sizes[i]);
      }
    });
    if (!huffman) {
      // The encoder codes every string that it keeps in the table.
      continue;
    }
    it(`encodes ${name}`, () => {
      const encoder = new HpackEncoder(table);
      encoder.takePrefix();
      for (const [i, list] of lists.entries()) {
        expect(encoder.encode(encodeHeaders(list)).toString("hex")).toBe(
          hex(blocks[i] ?? "").toString("hex"),
        );
      }
    });
  }

  it("decodes C.2, single fields", () => {
    const decoder = new HpackDecoder(4096, 16384);
    const decode = (block: string) => decoder.decode(hex(block), 0, hex(block).length);
    expect(decode("400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572").fields).toEqual([
      "custom-key",
      "custom-header",
    ]);
    expect(decoder.table.bytes).toBe(55);
    expect(decode("040c 2f73 616d 706c 652f 7061 7468").path).toBe("/sample/path");
    expect(decode("1008 7061 7373 776f 7264 0673 6563 7265 74").fields).toEqual(["password", "secret"]);
    expect(decode("82").method).toBe("GET");
    expect(decoder.table.bytes).toBe(55);
  });
});

describe("Huffman", () => {
  it("round-trips every byte", () => {
    const text = String.fromCharCode(...Array(256).keys());
    const bytes = Buffer.alloc(huffmanBytes(text));
    expect(encodeHuffman(text, bytes, 0)).toBe(bytes.length);
    expect(decodeHuffman(bytes, 0, bytes.length)).toBe(text);
  });
  it.each(["ff", "1fff", "1fffffff", "ff9fffffff", "52bc30ffffffff", "fffffffffc", "00"])(
    "refuses %s",
    (text) => {
      expect(decodeHuffman(hex(text), 0, hex(text).length)).toBeUndefined();
    },
  );
});

describe("decoder", () => {
  const code = (block: string, table = 4096) => {
    try {
      new HpackDecoder(table, 16384).decode(hex(block), 0, hex(block).length);
      return undefined;
    } catch (error) {
      return (error as { code?: number }).code;
    }
  };
  it.each([
    ["index 0", "80"],
    ["index beyond the tables", "be"],
    ["name index beyond the tables", "7f 00 01 61"],
    ["string beyond the block", "00 05 61"],
    ["integer without end", "ff ff ff ff"],
    ["integer too long", "ff ff ff ff ff ff ff 0f"],
    ["update above the limit", "3f e2 1f"],
    ["update after a field", "82 20"],
    ["literal without value", "00 01 61"],
  ])("refuses %s", (_, block) => {
    expect(code(block)).toBe(ErrorCode.COMPRESSION_ERROR);
  });

  it("asks for the update that a lowered limit makes due", () => {
    const decoder = new HpackDecoder(4096, 16384);
    decoder.setTableLimit(0);
    expect(() => decoder.decode(hex("82"), 0, 1)).toThrow("update missing");
    const again = new HpackDecoder(4096, 16384);
    again.setTableLimit(0);
    expect(again.decode(hex("2082"), 0, 2).method).toBe("GET");
  });

  it("hands out the same list for the same block, until the table changes", () => {
    const decoder = new HpackDecoder(4096, 16384);
    const block = hex("8286 84be");
    decoder.decode(hex("4001 6101 62"), 0, 5);
    const list = decoder.decode(block, 0, 4);
    expect(decoder.decode(Buffer.from(block), 0, 4)).toBe(list);
    decoder.decode(hex("4001 6101 63"), 0, 5);
    expect(decoder.decode(block, 0, 4).fields).toEqual(["a", "c"]);
  });

  it.each([
    ["a capital", ["X-A", "b"]],
    ["a control char in a name", ["a\u0001", "b"]],
    ["an unknown pseudo-header field", [":x", "b"]],
    ["connection", ["connection", "close"]],
    ["te other than trailers", ["te", "gzip"]],
    ["a pseudo-header field after others", ["a", "b", ":path", "/"]],
    ["a repeated pseudo-header field", [":path", "/", ":path", "/"]],
    ["LF in a value", ["a", "b\nc"]],
    ["a space at the end of a value", ["a", "b "]],
    ["two content-lengths", ["content-length", "1", "content-length", "2"]],
    ["a content-length that is none", ["content-length", "-1"]],
  ])("finds malformed: %s", (_, fields) => {
    const raw = Buffer.concat(
      fields.map((text, i) =>
        Buffer.concat([Buffer.from(i % 2 === 0 ? [0, text.length] : [text.length]), Buffer.from(text)]),
      ),
    );
    expect(new HpackDecoder(4096, 16384).decode(raw, 0, raw.length).malformed).toBe(true);
  });

  it("bounds a header bomb: a block of references to one large field", () => {
    const decoder = new HpackDecoder(4096, 16384);
    const field = Buffer.concat([hex("40 01 61 7f a1 1e"), Buffer.alloc(4000, 97)]);
    decoder.decode(field, 0, field.length);
    const list = decoder.decode(Buffer.alloc(16000, 0xbe), 0, 16000);
    expect(list.tooLarge).toBe(true);
    expect(list.fields.length).toBeLessThanOrEqual(8);
  });
});

describe("encoder", () => {
  it("says a changed table size first, and the least one in between", () => {
    const encoder = new HpackEncoder(4096);
    encoder.setTableLimit(0);
    encoder.setTableLimit(100);
    expect(encoder.takePrefix().toString("hex")).toBe("203f45");
    expect(encoder.takePrefix().length).toBe(0);
  });

  it("agrees with the decoder over a long random connection", () => {
    const encoder = new HpackEncoder(300);
    const decoder = new HpackDecoder(4096, 16384);
    for (let i = 0; i < 2000; i++) {
      const list = [":method", "POST"];
      for (let field = 0; field < i % 7; field++) {
        list.push(`name-${(i * 7 + field * 3) % 11}`, "v".repeat((i * field) % 37));
      }
      const bytes = Buffer.concat([encoder.takePrefix(), encoder.encode(encodeHeaders(list))]);
      expect(pairs(decoder.decode(bytes, 0, bytes.length))).toEqual(list);
      if (i % 500 === 250) {
        encoder.setTableLimit(i % 1000 === 250 ? 0 : 300);
      }
    }
  });

  it.each([
    ["a\r\nb", "c"],
    ["A", "c"],
    ["", "c"],
    ["a", "b\nc"],
    ["a", "b\0"],
    ["a", "\u0100"],
  ])("refuses %j: %j", (name, value) => {
    expect(() => encodeHeaders([name, value])).toThrow(TypeError);
  });
});
