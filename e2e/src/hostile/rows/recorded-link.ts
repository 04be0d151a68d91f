/** Whoever hears the handshake of a control link can do nothing with it (SECURITY, "The network"). */
import type { Attack } from '../attack.ts';
import { overEach } from '../attack.ts';

export const RECORDED_LINK: Attack = {
  name: 'control links said again',
  world: 'overheard',
  does: 'records the handshakes by which edges opened their links to a media node, and says all of each to it again',
  gets: ['closed'],
  strike: (world, isOver) =>
    overEach(
      isOver,
      () => world.line.recorded.filter(([upgrade]) => upgrade?.toString('latin1').startsWith('GET ')),
      (said) => world.line.sayAgain(said),
    ),
};
