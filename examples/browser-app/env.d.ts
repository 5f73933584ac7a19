/** What vite puts in the place of `import.meta.env`. */
interface ImportMeta {
  readonly env: {
    /** URL of the gateway. */
    readonly VITE_PRISM_URL?: string;
  };
}
