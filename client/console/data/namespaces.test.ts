import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import {
  NamespaceStatus,
  WatchNamespacesResponseSchema,
} from "../../../gen/prism/control/v1/namespace_pb.ts";
import { chosenNamespaces, createNamespaceReader } from "./namespaces.ts";

type Step = MessageInitShape<typeof WatchNamespacesResponseSchema>;

const told = (name: string, status: NamespaceStatus = NamespaceStatus.ACTIVE, backend = "db"): Step => ({
  namespace: { name, status, backend },
});
const SYNCED: Step = { synced: true, resumeToken: new Uint8Array([1]) };

function reading(...steps: readonly Step[]) {
  const reader = createNamespaceReader();
  const take = (...more: readonly Step[]) => {
    for (const step of more) {
      reader.take(create(WatchNamespacesResponseSchema, step));
    }
    return { names: [...reader.table.all.keys()], isComplete: reader.table.isComplete };
  };
  return { reader, take, ...take(...steps) };
}

test("namespaces are known as they are told, and complete when the stream says so", () => {
  const { names, isComplete, take, reader } = reading({ reset: true }, told("a"), told("b"));
  expect({ names, isComplete }).toEqual({ names: ["a", "b"], isComplete: false });
  expect(reader.resumeToken).toHaveLength(0);
  expect(take(SYNCED)).toEqual({ names: ["a", "b"], isComplete: true });
  expect(reader.resumeToken).toEqual(new Uint8Array([1]));
});

test("a namespace changes, and is forgotten when it is deleted", () => {
  const { take, reader } = reading({ reset: true }, told("a"), told("b"), SYNCED);
  take(told("a", NamespaceStatus.DELETING));
  expect(reader.table.all.get("a")?.status).toBe(NamespaceStatus.DELETING);
  expect(take(told("a", NamespaceStatus.DELETED)).names).toEqual(["b"]);
});

test("a table that was shown does not change", () => {
  const { take, reader } = reading({ reset: true }, told("a"), SYNCED);
  const { table } = reader;
  take(told("b"));
  expect([...table.all.keys()]).toEqual(["a"]);
});

test("while all are told anew, those before stay", () => {
  const { take } = reading({ reset: true }, told("a"), told("b"), SYNCED);
  expect(take({ reset: true }, told("c")).names).toEqual(["a", "b"]);
  // The stream breaks, and the next one begins anew too.
  expect(take({ reset: true }, told("b"), told("c"))).toEqual({ names: ["a", "b"], isComplete: true });
  expect(take(SYNCED)).toEqual({ names: ["b", "c"], isComplete: true });
});

test("they are chosen by name or store, in order", () => {
  const { reader } = reading(told("b"), told("a", undefined, "Pg"), told("c"), told("pg-c"));
  const rates: Readonly<Record<string, number>> = { b: 1, c: 7 };
  const names = (text: string, order: Parameters<typeof chosenNamespaces>[2] = "name") =>
    chosenNamespaces(reader.table.all, text, order, (name) => ({ calls: rates[name] ?? 0, failures: 0 })).map(
      ({ name }) => name,
    );
  expect(names("")).toEqual(["a", "b", "c", "pg-c"]);
  expect(names(" PG ")).toEqual(["a", "pg-c"]);
  expect(names("", "store")).toEqual(["a", "b", "c", "pg-c"]);
  expect(names("", "calls")).toEqual(["c", "b", "a", "pg-c"]);
  expect(names("", "failures")).toEqual(["a", "b", "c", "pg-c"]);
});
