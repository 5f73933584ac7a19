import { expect, test } from "vitest";
import { postgresSchema } from "./config.ts";
import { readUrl, urlProblem } from "./url.ts";

test.each([
  "postgres://h",
  "postgres:///db",
  "postgresql://u:p@h:5433/db?sslmode=verify-full&application_name=x",
  "postgres://u:p%40@h1:5432,h2,[::1]:5434/db?target_session_attrs=read-write",
  "postgres://u@h/db?ssl=true&sslrootcert=/ca.pem&sslnegotiation=direct",
])("takes %s", (url) => {
  expect(urlProblem(url)).toBeUndefined();
});

test.each([
  ["mysql://h/db", "expected a URL"],
  ["postgres://h:99999/db", "expected a URL"],
  ["postgres://h1:5432,h2:x/db", "expected a URL"],
  ["postgres://h1,,h2/db", "expected a URL"],
  ["postgres://h/db?host=h1,h2", "several hosts stand before the path"],
  [
    "postgres://h/db?sslmode=prefer",
    "sslmode: expected one of: disable, require, verify-ca, verify-full, no-verify",
  ],
  ["postgres://h/db?sslmode=allow", "sslmode: expected one of"],
  ["postgres://h/db?sslmode=verfy-full", "sslmode: expected one of"],
  ["postgres://h/db?ssl=false", "ssl: expected one of"],
  ["postgres://h/db?sslmod=require", 'a parameter that begins with "ssl" and is not known'],
  ["postgres://h/db?sslcrl=/crl.pem", 'a parameter that begins with "ssl" and is not known'],
  [
    "postgres://h/db?target_session_attrs=prefer-standby",
    "target_session_attrs: expected one of: any, read-write",
  ],
])("refuses %s", (url, problem) => {
  expect(urlProblem(url)).toContain(problem);
  expect(postgresSchema.safeParse({ type: "postgres", url }).error?.issues).toEqual([
    expect.objectContaining({ path: ["url"], message: urlProblem(url) }),
  ]);
});

test("a password is in no message", () => {
  for (const bad of ["postgres://u:s3cret@h:x/db", "postgres://u:s3cret@h/db?sslmode=s3cret"]) {
    expect(urlProblem(bad)).not.toContain("s3cret");
  }
});

test("each host has a URL of its own", () => {
  const text = "postgres://u:p@h1:1,h2/db?target_session_attrs=read-write&sslmode=require";
  expect(readUrl(text, true)).toEqual({
    hosts: [
      { name: "h1:1", url: "postgres://u:p@h1:1/db?sslmode=verify-full" },
      { name: "h2", url: "postgres://u:p@h2/db?sslmode=verify-full" },
    ],
    needsWrites: true,
    place: "h1:1,h2/db",
  });
  expect(readUrl(text, false).hosts[0]?.url).toBe("postgres://u:p@h1:1/db");
  expect(readUrl("postgres://h/db?sslmode=require&uselibpqcompat=true", true).hosts[0]?.url).toBe(
    "postgres://h/db?sslmode=require&uselibpqcompat=true",
  );
});
