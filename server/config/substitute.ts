// biome-ignore-all lint/suspicious/noTemplateCurlyInString: "${NAME}" is what operators write, not a template.
/** The result of {@link substitute}. */
export type Substituted = { readonly text: string } | { readonly error: string };

// In this order: an escape, a reference, and a "${" that is neither. A default contains no "${", so
// each search for its "}" ends at the next reference at the latest: many unclosed references take
// no longer than others.
const REFERENCE = /\$\$\{|\$\{(?<name>[A-Za-z_][A-Za-z0-9_]*)(?<otherwise>:-(?:[^}$]|\$(?!\{))*)?\}|\$\{/g;

/**
 * Puts environment variables into one value of the configuration: `${NAME}`, `${NAME:-default}` and
 * `$${`, which is a literal `${`. The default also replaces an empty variable, as in a shell, and
 * contains no `${`. A variable's value is not substituted again. The error names the variable and
 * never contains a value.
 */
export function substitute(text: string, env: Readonly<Record<string, string | undefined>>): Substituted {
  let error: string | undefined;
  const result = text.replaceAll(REFERENCE, (whole: string, ...rest: unknown[]) => {
    if (whole === "$${") {
      return "${";
    }
    const { name, otherwise } = rest.at(-1) as { name?: string; otherwise?: string };
    if (name === undefined) {
      error ??= 'expected "${NAME}" or "${NAME:-default}"; write "$${" for a literal "${"';
      return "";
    }
    const value = Object.hasOwn(env, name) ? env[name] : undefined;
    if (otherwise !== undefined) {
      return value === undefined || value === "" ? otherwise.slice(2) : value;
    }
    if (value === undefined) {
      error ??= `environment variable ${name} is not set; "\${${name}:-...}" gives a default`;
    }
    return value ?? "";
  });
  return error === undefined ? { text: result } : { error };
}
