/**
 * Makes numbers from 0 (included) to 1 (excluded), the same again for one seed (Marsaglia's
 * xorshift). The seed is PRISM_TEST_SEED or a random one; print it.
 */
export function seeded(
  seed = Number(process.env.PRISM_TEST_SEED ?? Math.floor(Math.random() * 2 ** 31) + 1),
) {
  let state = seed;
  const random = () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
  return { random, seed };
}
