import { describe, expect, test } from "vitest";
import { createCall } from "../backend/contract.ts";
import { NO_WISHES } from "./catalog.ts";
import { type ListedNamespace, NamespaceDirectory } from "./directory.ts";
import { NO_RULES } from "./rules.ts";

function listed(name: string, given: Partial<ListedNamespace> = {}): ListedNamespace {
  return {
    name,
    pattern: "keyvalue",
    backend: "database",
    rules: NO_RULES,
    wishes: NO_WISHES,
    createdAtMs: 0,
    version: 1,
    source: "saved",
    state: "active",
    stateMessage: "",
    ...given,
  };
}

const namesOf = (namespaces: readonly ListedNamespace[] | undefined) => namespaces?.map(({ name }) => name);

test("pages are in the order of the names, whatever came first", () => {
  const directory = new NamespaceDirectory();
  for (const name of ["c", "a", "b", "a.b", "a-b"]) {
    directory.put(listed(name));
  }
  expect(namesOf(directory.page("", 10))).toEqual(["a", "a-b", "a.b", "b", "c"]);
  expect(namesOf(directory.page("a", 2))).toEqual(["a-b", "a.b"]);
  directory.put(listed("b", { state: "deleted" }));
  directory.put(listed("aa"));
  expect(namesOf(directory.page("a.b", 10))).toEqual(["aa", "c"]);
  expect(namesOf(directory.page("c", 10))).toEqual([]);
  expect(directory.get("b")).toBeUndefined();
});

describe("changes", () => {
  test("are told in their order, until they are forgotten", () => {
    const directory = new NamespaceDirectory();
    expect(directory.changesBehind(0, 10)).toEqual([]);
    directory.put(listed("a"));
    directory.put(listed("b"));
    directory.put(listed("a", { state: "deleted" }));
    expect(directory.changesBehind(0, 2)).toMatchObject([{ name: "a" }, { name: "b" }]);
    expect(directory.changesBehind(2, 10)).toMatchObject([{ name: "a", state: "deleted" }]);
    expect(directory.changesBehind(3, 10)).toEqual([]);
    expect(directory.changesBehind(4, 10)).toBeUndefined();
    for (let i = 0; i < 10_000; i++) {
      directory.put(listed("c", { version: i }));
    }
    expect(directory.changesBehind(3, 10)).toBeUndefined();
    expect(directory.changesBehind(directory.revision - 1, 10)).toMatchObject([{ version: 9_999 }]);
    expect(directory.changesBehind(directory.revision - 4_096, 1)).toHaveLength(1);
  });

  test("wake who waits; a call that ends and a stop do too", async () => {
    const directory = new NamespaceDirectory();
    const waiting = directory.changed(createCall());
    directory.put(listed("a"));
    await waiting;
    const controller = new AbortController();
    const aborted = directory.changed(createCall(controller.signal));
    controller.abort();
    await expect(aborted).rejects.toMatchObject({ reason: "canceled" });
    const ended = directory.changed(createCall());
    directory.end();
    await expect(ended).rejects.toMatchObject({ reason: "shutting_down" });
    await expect(directory.changed(createCall())).rejects.toMatchObject({ reason: "shutting_down" });
  });

  test("are followed by a bounded number of calls", async () => {
    const directory = new NamespaceDirectory();
    const following = Array.from({ length: 1024 }, () => directory.changed(createCall()));
    await expect(directory.changed(createCall())).rejects.toMatchObject({ reason: "overloaded" });
    directory.put(listed("a"));
    await Promise.all(following);
    const again = directory.changed(createCall());
    directory.put(listed("b"));
    await again;
  });
});
