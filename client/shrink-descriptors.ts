/** The base64 of a descriptor, as protoc-gen-es writes it. */
const DESCRIPTOR = /fileDesc\("([\w+/]+)"/g;

/**
 * Writes the descriptors in generated code as text, of which pages make base64. gzip finds what
 * repeats in text and not in base64: a page loads a twelfth less.
 */
export function shrinkDescriptors(code: string): string {
  return code.replace(DESCRIPTOR, (_, base64: string) => {
    const text = JSON.stringify(Buffer.from(base64, "base64").toString("latin1"));
    return `fileDesc(/*@__PURE__*/ btoa(${text})`;
  });
}

/**
 * Lets generated code read descriptors with `fileDesc` of this module, which knows no options. The
 * options of Prism are no types of fields, so that nothing else needs their file.
 */
export function readWith(module: string, code: string): string {
  // Options extend messages that the small reader does not know.
  if (code.includes('"@bufbuild/protobuf/wkt"')) {
    return code;
  }
  return code
    .replace(/^import \{ file_prism_options \} from .*\n/m, "")
    .replace(/(, \[[^\]]*?)(?:, )?\bfile_prism_options\b/, "$1")
    .replace(
      /^import \{(.*?)\bfileDesc\b(?:, )?(.*?)\} from "@bufbuild\/protobuf\/codegenv2";$/m,
      (_, before, after) =>
        [
          `import { fileDesc } from "${module}";`,
          `import {${before}${after}} from "@bufbuild/protobuf/codegenv2";`,
        ].join("\n"),
    );
}
