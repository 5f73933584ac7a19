/** What {@link hasPlainUserinfo} demands, for messages. */
export const USERINFO_FORMAT =
  'the user name or the password has an "@", "/", "?" or "#" in it, which would make another host of its rest; ' +
  "write %40, %2F, %3F or %23";

/**
 * Whether the user name and password of a URL are escaped, so that the host is the one that was
 * meant. Unescaped, `redis://:pass/word@cache` names the host "pass" (RFC 3986 section 3.2.1: "@",
 * "/", "?" and "#" end or begin another part). A later "@" is fine where it can only be part of a
 * parameter's value: `?user=me@tenant`.
 */
export function hasPlainUserinfo(url: string): boolean {
  const [, authority = "", rest = ""] = /^\w+:\/\/([^/?#]*)(.*)$/s.exec(url) ?? [];
  const parameters = /^[^?#@]*\?[^#@=]+=.*$/s.test(rest);
  return authority.split("@").length <= 2 && (parameters || !rest.includes("@"));
}
