/** Gives numbers from 0 up to, not including, 1. */
export type Random = () => number;

/**
 * mulberry32: small, fast, and the same on every machine, so that a run with jitter or loss can be repeated by its
 * seed. Not for secrets.
 */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
