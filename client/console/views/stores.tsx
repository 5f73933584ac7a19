import { Title } from "../parts/title.tsx";

/** To come. */
export function Stores({ name }: { readonly name: string | undefined }) {
  return <Title>{name ?? "Stores"}</Title>;
}
