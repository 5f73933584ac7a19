import { mayManageNamespaces } from "../caller.ts";
import { Title } from "../parts/title.tsx";
import { Store } from "./store.tsx";
import { StoreTable } from "./store-table.tsx";

/** All stores, or one of them. */
export function Stores({ name }: { readonly name: string | undefined }) {
  return (
    <>
      <Title>{name === undefined ? "Stores" : `Store ${name}`}</Title>
      {!mayManageNamespaces("read") ? (
        <p class="quiet">Your role may use data, and may not see the stores of this gateway.</p>
      ) : name === undefined ? (
        <StoreTable />
      ) : (
        <Store key={name} name={name} />
      )}
    </>
  );
}
