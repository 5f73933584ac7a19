const WIDTH = 80;
const HEIGHT = 20;

/**
 * A small curve beside its newest value, which the text says. `values` ends with the newest one and
 * may be longer than what is drawn.
 */
export function Sparkline({ values, points }: { readonly values: Float32Array; readonly points: number }) {
  const drawn = values.subarray(values.length - Math.min(points, WIDTH));
  if (drawn.length < 2) {
    return <svg class="sparkline" width={WIDTH} height={HEIGHT} aria-hidden="true" />;
  }
  // Less than one a second looks as little as it is.
  const highest = drawn.reduce((most, value) => Math.max(most, value), 1);
  const path = Array.from(drawn, (value, i) => {
    const x = WIDTH - drawn.length + 1 + i;
    return `${x},${(HEIGHT - 1 - (value / highest) * (HEIGHT - 2)).toFixed(1)}`;
  });
  return (
    <svg
      class="sparkline"
      width={WIDTH}
      height={HEIGHT}
      viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
      aria-hidden="true"
    >
      <polyline points={path.join(" ")} />
    </svg>
  );
}
