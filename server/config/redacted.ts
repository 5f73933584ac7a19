/** Stands for a secret. */
const HIDDEN = "***";

/** The last word of a setting whose value is a secret. */
const SECRET = /(?:^|_)(?:password|passphrase|secret|token|hash|credential)s?$/;

/** The password of a URL, and those among its parameters. */
const URL_PASSWORD = /^(\w+:\/\/[^/?#:@]*:)[^/?#]*@/;
const URL_PARAMETER = /([?&]\w*(?:password|secret|token)=)[^&#]*/gi;

/**
 * A copy of settings that can be shown: no value of a setting whose name ends with `password`,
 * `passphrase`, `secret`, `token`, `hash` or `credential`, no value of a header, and no password in
 * a URL. A new secret needs such a name.
 */
export function redacted(value: unknown, name: PropertyKey = ""): unknown {
  if (Array.isArray(value)) {
    return value.map((item) => redacted(item, name));
  }
  if (typeof value === "object" && value !== null) {
    // The names of headers are anybody's, and their values mostly credentials.
    const nameOf = (key: string) => (name === "headers" ? "credential" : key);
    return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, redacted(each, nameOf(key))]));
  }
  if (value === undefined || value === "") {
    return value;
  }
  if (SECRET.test(String(name))) {
    return HIDDEN;
  }
  return typeof value === "string"
    ? value.replace(URL_PASSWORD, `$1${HIDDEN}@`).replace(URL_PARAMETER, `$1${HIDDEN}`)
    : value;
}
