/** An attacker who records a control link's handshake cannot use it (SECURITY, "The network"). */
import type { Attack } from '../attack.ts';
import { repeatEachUntil } from '../attack.ts';

export const RECORDED_LINK: Attack = {
  name: 'replayed control links',
  world: 'overheard',
  description:
    'records the handshakes with which edges opened their links to a media node, and sends each of them to it again',
  allowedAnswers: ['closed'],
  strike: (world, isOver) =>
    repeatEachUntil(
      isOver,
      () => world.line.recorded.filter(([upgrade]) => upgrade?.toString('latin1').startsWith('GET ')),
      (said) => world.line.replay(said),
    ),
};
