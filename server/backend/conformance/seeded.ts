/** Numbers from 0 to below 1 that one seed, PRISM_TEST_SEED or any, makes the same again (Marsaglia's xorshift). Print the seed. */
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
