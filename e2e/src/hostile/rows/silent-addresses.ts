/** Silent connections from so many addresses that each address has few. */
import type { Attack } from '../attack.ts';
import { RawTcp } from '../raw-http.ts';
import { JoinRefused, Stranger } from '../stranger.ts';

const ADDRESSES = 40;
/** Together as many as this process may open as files (20,000), less what the test needs itself. */
const OF_EACH = 400;
const AT_ONCE = 200;

export const SILENT_ADDRESSES: Attack = {
  name: 'sixteen thousand silent connections from forty addresses',
  world: 'plain',
  description:
    'opens 400 TCP connections from each of forty addresses, never writes, and holds them while a person joins and leaves',
  allowedAnswers: ['open', 'closed', 'honest: ok'],
  strike: async (world, isOver) => {
    const addresses = Array.from({ length: ADDRESSES }, () => world.nextAddress());
    const held: RawTcp[] = [];
    for (let count = 0; count < ADDRESSES * OF_EACH; count += AT_ONCE) {
      const opening = Array.from({ length: AT_ONCE }, (_, index) =>
        RawTcp.open(world.target.publicUrl, addresses[(count + index) % ADDRESSES]),
      );
      // A connection that the edge refuses at once may break before it is open here.
      for (const one of await Promise.allSettled(opening))
        if (one.status === 'fulfilled') held.push(one.value);
    }
    const answers = new Set<string>();
    do {
      try {
        const honest = await Stranger.join(world, { roomId: 'honest' });
        await honest.leave();
        answers.add('honest: ok');
      } catch (error) {
        answers.add(`honest: ${error instanceof JoinRefused ? error.code : String(error)}`);
      }
    } while (!isOver());
    for (const connection of held) answers.add(connection.isClosed ? 'closed' : 'open');
    for (const connection of held) connection.close();
    return [...answers];
  },
};
