/** A change to a control link's data ends the link, and people do not notice (SPEC CL27, CL33). */
import type { Attack } from '../attack.ts';
import { repeatUntil } from '../attack.ts';

export const FLIPPED_BIT: Attack = {
  name: 'a bit flipped',
  world: 'overheard',
  description:
    'flips one bit of a beat on each link to a media node, which ends the link, and again as soon as all are open again',
  allowedAnswers: ['reopened'],
  strike: (world, isOver) => repeatUntil(isOver, () => world.line.flipBits()),
};
