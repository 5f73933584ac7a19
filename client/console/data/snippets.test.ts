import { expect, test } from "vitest";
import { type Shown, snippetsOf, type Target } from "./snippets.ts";

const TARGET: Target = {
  dataUrl: "http://prism.example.com:8980",
  adminUrl: "https://prism.example.com:8090",
  namespace: "orders",
  asksWhoCalls: false,
};

test("a plain name stays plain", () => {
  expect(snippetsOf({ kind: "key", key: "user:1" }, TARGET)).toEqual({
    curl: `curl http://prism.example.com:8980/prism.interfaces.keyvalue.KeyValueBasicInterface/Get \\
  -H 'Content-Type: application/json' -d '{"namespace":"orders","key":"user:1"}'`,
    cli: "prism get --address prism.example.com:8980 --namespace orders user:1",
    typescript: `import { PrismClient } from "prism-client";

await using client = new PrismClient("http://prism.example.com:8980", { namespace: "orders" });
const value = await client.keyvalue.get("user:1");
console.log(new TextDecoder().decode(value));`,
  });
});

test("who calls is taken from a variable", () => {
  const target = { ...TARGET, asksWhoCalls: true };
  const { curl, typescript } = snippetsOf({ kind: "key", key: "k" }, target);
  expect(curl).toContain('-H "Authorization: Bearer $PRISM_TOKEN"');
  expect(typescript).toContain('{ namespace: "orders", credentials: process.env.PRISM_TOKEN }');
  const { curl: ofNamespace, cli } = snippetsOf({ kind: "namespace" }, target);
  expect(ofNamespace).toContain('-H "Authorization: Bearer $PRISM_ADMIN_KEY"');
  expect(cli).toBe("prism ns get --admin https://prism.example.com:8090 orders");
});

test("nothing that a terminal obeys, and nothing that is not seen, is in a line", () => {
  const hostile = "a\u001b[201~\u0003\r\t\u009b\u200b\u202e\u2028\u{e0001}b";
  const shown: Shown[] = [
    { kind: "key", key: hostile },
    { kind: "keys", prefix: hostile },
    { kind: "list", list: hostile, start: 0, stop: -1 },
    { kind: "record", id: hostile },
    { kind: "streams", prefix: hostile },
    { kind: "stream", stream: hostile, tags: { [hostile]: hostile } },
    { kind: "item", id: hostile, key: new TextEncoder().encode(hostile) },
  ];
  for (const one of shown) {
    for (const text of Object.values(snippetsOf(one, TARGET))) {
      expect(text).not.toMatch(/(?!\n)[\p{Cc}\p{Cf}\u2028\u2029]/u);
    }
  }
});

test("a command line says that it cannot hold a NUL", () => {
  const { curl, cli, typescript } = snippetsOf({ kind: "key", key: "a\0b" }, TARGET);
  expect(curl).toContain(String.raw`"key":"a\u0000b"`);
  expect(cli).toMatch(/^# .* NUL/);
  expect(typescript).toContain(String.raw`get("a\u0000b")`);
});

test("a span of a stream is read by its times and its tags", () => {
  const shown: Shown = { kind: "stream", stream: "logins", startMs: 5, tags: { city: "Bern", via: "" } };
  const { curl, cli, typescript } = snippetsOf(shown, TARGET);
  expect(curl).toContain(
    `{"namespace":"orders","stream":"logins","startTimeMillis":5,"filterTags":{"city":"Bern","via":""},"limit":100}`,
  );
  expect(cli).toBe(
    "prism ts query --from 5 '--tag=city=Bern' '--tag=via=' --limit 100 --address prism.example.com:8980 --namespace orders logins",
  );
  expect(typescript).toContain(
    'client.timeseries.query("logins", {"startMs":5,"tags":{"city":"Bern","via":""},"limit":100})',
  );
  expect(snippetsOf({ ...shown, tags: { "a=b": "c" } }, TARGET).cli).toMatch(/^# A tag has a name with =/);
});
