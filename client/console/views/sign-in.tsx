import { isSignedIn, needsSignIn, signIn } from "../gateway.ts";
import { Dialog } from "../parts/dialog.tsx";

/** Asks who looks. What is on the page stays behind it. */
export function SignIn() {
  return (
    <Dialog
      title="Sign in"
      onClose={() => {
        needsSignIn.value = false;
      }}
    >
      <form
        onSubmit={(event) => {
          event.preventDefault();
          signIn(String(new FormData(event.currentTarget).get("key")).trim());
        }}
      >
        <p>
          {isSignedIn()
            ? "The gateway does not know this key or token any more, or it has expired."
            : "The gateway wants to know who calls."}{" "}
          What you typed on the page is kept.
        </p>
        <label class="field">
          API key or token
          <input name="key" type="password" autocomplete="current-password" required />
        </label>
        <p class="quiet">It is kept until this tab is closed, and sent to this gateway only.</p>
        <div class="buttons">
          <button type="submit" class="main">
            Sign in
          </button>
        </div>
      </form>
    </Dialog>
  );
}
