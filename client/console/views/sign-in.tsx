import { asksSignIn, isSignedIn, signIn } from "../gateway.ts";
import { useAction } from "../load.ts";
import { Dialog } from "../parts/dialog.tsx";
import { ProblemNote } from "../parts/notes.tsx";

/** Asks who looks. What is on the page stays behind it. */
export function SignIn() {
  const check = useAction(signIn);
  return (
    <Dialog
      title="Sign in"
      onClose={() => {
        asksSignIn.value = false;
      }}
    >
      <form
        onSubmit={(event) => {
          event.preventDefault();
          const form = event.currentTarget;
          void check.run(String(new FormData(form).get("key")).trim()).then((isKnown) => {
            if (!isKnown) {
              form.querySelector("input")?.select();
            }
          });
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
        <ProblemNote problem={check.problem} hasAdvice={false} />
        <div class="buttons">
          <button type="submit" class="main" disabled={check.isRunning}>
            {check.isRunning ? "Asking the gateway …" : "Sign in"}
          </button>
        </div>
      </form>
    </Dialog>
  );
}
