/** The documents that `make proto` makes: `make check` says whether they are up to date. */
import { readFileSync } from "node:fs";
import { Validator } from "@seriousme/openapi-schema-validator";
import { describe, expect, test } from "vitest";
import { SERVICES } from "../../server/services/services.ts";
import { startTestServer } from "../../tests/helpers/server.ts";

const read = (name: string) => readFileSync(new URL(`../../${name}`, import.meta.url), "utf8");

const PRISMS = SERVICES.filter(({ typeName }) => typeName.startsWith("prism."));

describe("openapi.json", () => {
  const document = JSON.parse(read("gen/openapi.json"));

  test("is valid OpenAPI", async () => {
    const { valid, errors } = await new Validator().validate(document);
    expect([valid, errors]).toEqual([true, undefined]);
  });

  test("has every call with one answer, and each with a text", () => {
    const calls = PRISMS.flatMap(({ methods }) => methods.filter(({ methodKind }) => methodKind === "unary"));
    for (const { parent, name } of calls) {
      expect(document.paths[`/${parent.typeName}/${name}`].post.description).toMatch(/\w\./);
    }
    expect(calls.length).toBeGreaterThan(30);
  });

  test("points at nothing that it lacks", () => {
    const named = [...read("gen/openapi.json").matchAll(/"#\/components\/schemas\/([^"]+)"/g)];
    expect(named.length).toBeGreaterThan(100);
    expect(named.flatMap(([, name = ""]) => (name in document.components.schemas ? [] : name))).toEqual([]);
  });

  test("is on the admin port, and its calls are where it says", async () => {
    await using server = await startTestServer();
    const served = await fetch(`${server.adminUrl}/openapi.json`);
    expect(served.headers.get("content-type")).toBe("application/json; charset=utf-8");
    expect(await served.json()).toEqual(document);
    for (const [path, { servers }] of Object.entries<{ servers?: object }>(document.paths)) {
      const port = servers === undefined ? server.baseUrl : server.adminUrl;
      const { status } = await fetch(`${port}${path}`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: '{"no such field":0}',
      });
      // A call that is there refuses the field; another path is 404.
      expect([path, status]).toEqual([path, 400]);
    }
  });
});

describe("api-reference.md", () => {
  const text = read("docs/api-reference.md");

  test("has every call", () => {
    for (const { typeName, methods } of PRISMS) {
      for (const { name } of methods) {
        expect(text).toContain(`<a id="${typeName}.${name}"></a>`.toLowerCase());
      }
    }
  });

  test("its links lead somewhere", () => {
    const targets = new Set([...text.matchAll(/<a id="([^"]+)">/g)].map(([, id]) => id));
    const links = [...text.matchAll(/\]\(#([^)]+)\)/g)].map(([, id]) => id);
    expect(links.length).toBeGreaterThan(200);
    expect(links.filter((id) => !targets.has(id))).toEqual([]);
  });
});
