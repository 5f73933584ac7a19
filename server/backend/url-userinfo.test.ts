import { expect, test } from "vitest";
import { hasPlainUserinfo } from "./url-userinfo.ts";

test.each([
  "redis://cache:6379",
  "redis://:secret@cache:6379/0",
  "redis://user:p%40ss%2Fword@cache",
  "postgres://user:pa$$w:rd@db.internal:5432/prism",
  "postgres://a:b@h1:5432,h2:5433/db?target_session_attrs=read-write",
  "postgres://db.internal/prism?user=me@tenant&password=a@b",
  "",
])("%j names the host that is meant", (url) => {
  expect(hasPlainUserinfo(url)).toBe(true);
});

test.each([
  "redis://:p@ss@cache:6379",
  "redis://:pass/w@rd@cache",
  "redis://:12/word@cache",
  "postgres://user:12#3@db/prism",
  "postgres://user:12?3@db/prism",
  "postgres://user:p@ss/x=@db/prism",
])("%j does not", (url) => {
  expect(hasPlainUserinfo(url)).toBe(false);
});
