import { expect, test } from "vitest";
import { type Caller, grantedNames, mayManage, mayUse } from "./caller.ts";

const nobodyAsked: Caller = { authConfigured: false, name: "", adminRole: "", grants: [] };

function known(adminRole: string, ...grants: Caller["grants"]): Caller {
  return { authConfigured: true, name: "me", adminRole, grants };
}

test("where nobody is asked, everybody may do everything", () => {
  expect(mayManage(nobodyAsked, "admin")).toBe(true);
  expect(mayUse(nobodyAsked, "orders", "write")).toBe(true);
});

test("a role for the admin port includes those before it", () => {
  const may = (role: string) =>
    (["read", "write", "admin"] as const).filter((permission) => mayManage(known(role), permission));
  expect(may("")).toEqual([]);
  expect(may("viewer")).toEqual(["read"]);
  expect(may("operator")).toEqual(["read", "write"]);
  expect(may("admin")).toEqual(["read", "write", "admin"]);
  expect(may("of-a-later-version")).toEqual([]);
});

test("a grant is for a name, or for names that begin alike", () => {
  const caller = known(
    "",
    { namespaces: "orders", permissions: ["read"] },
    { namespaces: "test-*", permissions: ["admin"] },
  );
  expect(mayUse(caller, "orders", "read")).toBe(true);
  expect(mayUse(caller, "orders", "write")).toBe(false);
  expect(mayUse(caller, "orders-2", "read")).toBe(false);
  expect(mayUse(caller, "test-1", "write")).toBe(true);
  expect(mayUse(caller, "other", "read")).toBe(false);
  expect(mayUse(known("", { namespaces: "*", permissions: ["write"] }), "any", "write")).toBe(true);
});

test("an admin role grants no data", () => {
  expect(mayUse(known("admin"), "orders", "read")).toBe(false);
});

test("names that are granted whole are told once each", () => {
  const read = ["read"];
  const caller = known(
    "",
    { namespaces: "b", permissions: read },
    { namespaces: "a", permissions: read },
    { namespaces: "b", permissions: ["write"] },
    { namespaces: "c*", permissions: read },
  );
  expect(grantedNames(caller)).toEqual(["a", "b"]);
});
