import { seededRandom } from '../seeded-random.ts';
import type { RandomSource } from '../seeded-random.ts';

/** Chance from a seed: the same seed gives the same run. */
export class Random {
  /** In [0, 1). */
  readonly next: RandomSource;

  constructor(seed: number) {
    this.next = seededRandom(seed);
  }

  /** A whole number, both ends included. */
  between(least: number, most: number): number {
    return least + Math.floor(this.next() * (most - least + 1));
  }

  chance(probability: number): boolean {
    return this.next() < probability;
  }

  /** One of several; `undefined` of none. */
  pick<Item>(items: readonly Item[]): Item | undefined {
    return items[Math.floor(this.next() * items.length)];
  }
}
