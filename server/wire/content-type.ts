/**
 * A parameter of RFC 9110 section 5.6.6: a token or a quoted string, in which a backslash escapes
 * the next character.
 */
const PARAMETER =
  /^[ \t]*(?:([!#$%&'*+.^_`|~\w-]+)=(?:([!#$%&'*+.^_`|~\w-]+)|"((?:[^"\\]|\\.)*)")[ \t]*)?(?:;|$)/;

/**
 * The media type of a Content-Type field, in lower case and without parameters (RFC 9110 section
 * 8.3.1), which no protocol here uses. `undefined` = the field is no media type, or names a charset
 * other than UTF-8.
 */
export function mediaType(field: string): string | undefined {
  const end = field.indexOf(";");
  const type = (end < 0 ? field : field.slice(0, end)).trim().toLowerCase();
  let rest = end < 0 ? "" : field.slice(end + 1);
  while (rest !== "") {
    const [all, name, token, quoted = ""] = PARAMETER.exec(rest) ?? [];
    if (all === undefined) {
      return undefined;
    }
    const value = (token ?? quoted.replace(/\\(.)/g, "$1")).toLowerCase();
    if (name?.toLowerCase() === "charset" && value !== "utf-8" && value !== "utf8") {
      return undefined;
    }
    rest = rest.slice(all.length);
  }
  return /^[!#$%&'*+.^_`|~\w-]+\/[!#$%&'*+.^_`|~\w-]+$/.test(type) ? type : undefined;
}
