/** The longest name of a caller: it stands in the log and names its quotas. */
const MAX_CALLER_CHARACTERS = 255;

/** Whether a name from a token or a certificate can name a caller. */
export function isCallerName(name: unknown): name is string {
  return typeof name === "string" && name.length <= MAX_CALLER_CHARACTERS && /^[^\p{Cc}\p{Cs}]+$/u.test(name);
}
