import { signal } from "@preact/signals";

/** Whether somebody may see the page. A page in the background asks the gateway for nothing. */
export const isVisible = signal(document.visibilityState === "visible");

document.addEventListener("visibilitychange", () => {
  isVisible.value = document.visibilityState === "visible";
});
