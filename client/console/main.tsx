import { render } from "preact";
import { App } from "./app.tsx";
import { followAddress } from "./route.ts";
import { listenToKeys } from "./shortcuts.ts";
import "./style.css";

const root = document.querySelector("#app");
if (root !== null) {
  followAddress();
  listenToKeys();
  render(<App />, root);
}
