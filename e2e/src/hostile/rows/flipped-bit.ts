/** Whoever changes what is said on a control link ends it, and people do not notice (SPEC CL27, CL33). */
import type { Attack } from '../attack.ts';
import { over } from '../attack.ts';

export const FLIPPED_BIT: Attack = {
  name: 'a bit flipped',
  world: 'overheard',
  does: 'changes one bit of a beat on each link to a media node, upon which it ends, and again as soon as all are opened anew',
  gets: ['reopened'],
  strike: (world, isOver) => over(isOver, () => world.line.flipBits()),
};
