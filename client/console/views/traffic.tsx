import { Title } from "../parts/title.tsx";

/** To come. */
export function Traffic() {
  return <Title>Traffic</Title>;
}
