/** What {@link hasPlainUserinfo} asks for, for messages. */
export const USERINFO_FORMAT =
  'the user name or the password has an "@", "/", "?" or "#" in it, which would make another host of its rest; ' +
  "write %40, %2F, %3F or %23";

/**
 * Whether user name and password of a URL are escaped, so that the host is the one that was meant. Without that
 * `redis://:pass/word@cache` asks the host "pass" (RFC 3986 section 3.2.1: "@", "/", "?" and "#" end or begin
 * another part). An "@" further on is fine where it can only be a parameter's value: `?user=me@tenant`.
 */
export function hasPlainUserinfo(url: string): boolean {
  const [, authority = "", rest = ""] = /^\w+:\/\/([^/?#]*)(.*)$/s.exec(url) ?? [];
  const parameters = /^[^?#@]*\?[^#@=]+=.*$/s.test(rest);
  return authority.split("@").length <= 2 && (parameters || !rest.includes("@"));
}
