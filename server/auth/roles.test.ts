import { expect, test } from "vitest";
import { role } from "../../tests/helpers/tokens.ts";
import type { Grant } from "../calls/principal.ts";
import { principalOf } from "./roles.ts";

const grant = (namespaces: string): Grant => ({
  namespaces,
  permissions: ["read"],
  keyPrefix: "",
  methods: undefined,
});

const ROLES = [
  role("by-key", { grants: [grant("a")] }),
  role("by-name", { grants: [grant("b")], callers: ["web.*", "exact"], adminRole: "viewer" }),
  role("by-scope", { grants: [grant("c"), grant("d")], scopes: ["orders.read", "*"], adminRole: "operator" }),
];

test.each([
  [{ name: "nobody" }, "", undefined],
  [{ name: "nobody", roles: ["by-key"] }, "a", undefined],
  [{ name: "web.eu" }, "b", "viewer"],
  [{ name: "web" }, "", undefined],
  [{ name: "exact" }, "b", "viewer"],
  [{ name: "exactly" }, "", undefined],
  [{ name: "nobody", scopes: ["orders.read"] }, "c d", "operator"],
  [{ name: "nobody", scopes: ["orders.write", "by-key"] }, "", undefined],
  [{ name: "web.eu", roles: ["by-key"], scopes: ["orders.read"] }, "a b c d", "operator"],
])("%j may do %j as %j", (caller, namespaces, adminRole) => {
  const principal = principalOf(ROLES, caller);
  expect(principal).toMatchObject({ name: caller.name, adminRole });
  expect(principal.grants.map((each) => each.namespaces).join(" ")).toBe(namespaces);
});

test.each<[string, object | undefined]>([
  ["prism:read:orders", { namespaces: "orders", permissions: ["read"], keyPrefix: "" }],
  ["prism:write:team-*", { namespaces: "team-*", permissions: ["write"], keyPrefix: "" }],
  ["prism:admin:*", { namespaces: "*", permissions: ["admin"], keyPrefix: "" }],
  ["prism:read:orders:user/1:a", { namespaces: "orders", permissions: ["read"], keyPrefix: "user/1:a" }],
  ["prism:read:orders:", { namespaces: "orders", permissions: ["read"], keyPrefix: "" }],
  ["prism:delete:orders", undefined],
  ["prism:read", undefined],
  ["prism:read:", undefined],
  ["prism:read:a*b", undefined],
  ["prism:read:**", undefined],
  ["xprism:read:orders", undefined],
])("the scope %s", (scope, granted) => {
  const { grants } = principalOf([], { name: "a", scopes: [scope], grantingScopes: true });
  expect(grants).toEqual(granted === undefined ? [] : [{ ...granted, methods: undefined }]);
  expect(principalOf([], { name: "a", scopes: [scope] }).grants).toEqual([]);
});
