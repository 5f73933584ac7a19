import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { temporaryFolder } from "../../tests/helpers/process.ts";
import { MAX_KEY_SET_BYTES, parseKeySet, readKeyFile } from "./key-file.ts";

test.each<[string, object]>([
  ['{"keys":[{"kty":"EC"}]}', { keys: [{ kty: "EC" }] }],
  ['{"keys":[]}', { keys: [] }],
  ["", { error: "holds no JSON" }],
  ["null", { error: 'holds no JWK Set: {"keys": [...]}' }],
  ["[]", { error: 'holds no JWK Set: {"keys": [...]}' }],
  ['{"keys":["a"]}', { error: 'holds no JWK Set: {"keys": [...]}' }],
  ['{"keys":[{"kty":"EC","d":"x"}]}', { error: "holds a secret key; only public ones belong here" }],
  ['{"keys":[{"kty":"oct","k":"x"}]}', { error: "holds a secret key; only public ones belong here" }],
])("%s", (text, read) => {
  expect(parseKeySet(text)).toEqual(read);
});

test("files", async () => {
  await using folder = await temporaryFolder();
  const file = join(folder.path, "keys.json");
  expect(readKeyFile(file)).toEqual({ error: "no such file" });
  await writeFile(file, '{"keys":[]}');
  expect(readKeyFile(file)).toEqual({ keys: [] });
  await writeFile(file, `{"keys":[]}${" ".repeat(MAX_KEY_SET_BYTES)}`);
  expect(readKeyFile(file)).toEqual({ error: `larger than ${MAX_KEY_SET_BYTES} bytes` });
});
