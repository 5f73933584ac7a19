import type { ComponentChildren } from "preact";
import { whoLooks } from "./caller.ts";
import { asksSignIn, isAway, isSignedIn, needsSignIn, signOut } from "./gateway.ts";
import icon from "./icon.svg";
import { Questions } from "./parts/dialog.tsx";
import { Title } from "./parts/title.tsx";
import { Toasts } from "./parts/toasts.tsx";
import { hrefOf, type Route, route } from "./route.ts";
import { Help } from "./views/help.tsx";
import { NamespaceView } from "./views/namespace.tsx";
import { Overview } from "./views/overview.tsx";
import { SignIn } from "./views/sign-in.tsx";
import { Stores } from "./views/stores.tsx";
import { Traffic } from "./views/traffic.tsx";

/** The views that the bar at the top leads to. */
const VIEWS = [
  { path: [], name: "Overview" },
  { path: ["stores"], name: "Stores" },
  { path: ["traffic"], name: "Traffic" },
] as const;

/** The page. */
export function App() {
  return (
    <>
      <a class="skip" href="#content">
        Skip to the content
      </a>
      <header>
        <a class="brand" href={hrefOf([])}>
          <img src={icon} alt="" width="22" height="22" />
          Prism
        </a>
        <nav aria-label="Views">
          {VIEWS.map(({ path, name }) => (
            <a
              key={name}
              href={hrefOf(path)}
              aria-current={path[0] === route.value.path[0] ? "page" : undefined}
            >
              {name}
            </a>
          ))}
        </nav>
        <Who />
        <Help />
      </header>
      {isAway.value && (
        <p class="away" role="status">
          The gateway does not answer. The page goes on by itself when it is back; what you typed is kept.
        </p>
      )}
      <main id="content" tabIndex={-1}>
        {viewOf(route.value)}
      </main>
      {asksSignIn.value && <SignIn />}
      <Questions />
      <Toasts />
    </>
  );
}

/** Who looks, and how to be somebody else. Nothing where nobody is asked. */
function Who() {
  const { value } = whoLooks();
  if (needsSignIn.value) {
    return (
      <button
        type="button"
        class="main"
        onClick={() => {
          asksSignIn.value = true;
        }}
      >
        Sign in
      </button>
    );
  }
  return isSignedIn() ? (
    <button type="button" title={value?.name} onClick={signOut}>
      Sign out
    </button>
  ) : null;
}

function viewOf({ path: [view, name], query }: Route): ComponentChildren {
  switch (view) {
    case undefined:
      return <Overview />;
    case "stores":
      return <Stores name={name} />;
    case "traffic":
      return <Traffic />;
    case "ns":
      return name === undefined ? <NotThere /> : <NamespaceView key={name} name={name} query={query} />;
    default:
      return <NotThere />;
  }
}

function NotThere() {
  return (
    <>
      <Title>There is no such page</Title>
      <p>
        <a href={hrefOf([])}>The overview</a> leads to everything that there is.
      </p>
    </>
  );
}
