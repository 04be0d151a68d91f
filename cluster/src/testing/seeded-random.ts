/** Gives numbers from 0 up to, not including, 1. */
export type RandomSource = () => number;

/**
 * mulberry32: the same on every machine, so that a simulation, or a run with jitter and loss, can be repeated by its seed.
 * Not for secrets.
 */
export function seededRandom(seed: number): RandomSource {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
