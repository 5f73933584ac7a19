/** What Vite makes of a style sheet: nothing that code sees. */
declare module "*.css";

/** What Vite makes of a picture: its address. */
declare module "*.svg" {
  const address: string;
  export default address;
}
