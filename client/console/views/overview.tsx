import { Title } from "../parts/title.tsx";

/** To come. */
export function Overview() {
  return <Title>Overview</Title>;
}
