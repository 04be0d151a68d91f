/** HTTP requests without end (SPEC BU21). */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Answers, Attack } from '../attack.ts';
import { repeatUntil } from '../attack.ts';
import type { HostileWorld } from '../hostile-world.ts';
import { Stranger } from '../stranger.ts';

const AT_ONCE = 40;
const REQUESTS = [
  ['GET', '/'],
  ['GET', '/api/edges'],
  ['GET', '/api/capabilities'],
  ['GET', '/api/protocol.json'],
  ['HEAD', '/api/edges'],
  ['POST', '/api/guest-token'],
  ['OPTIONS', '/api/edges'],
  ['DELETE', '/api/nowhere'],
] as const;

/** A person at the same address, and a health probe: neither may be refused anything. */
async function neighbour(world: HostileWorld, isOver: () => boolean): Promise<Answers> {
  const stranger = await Stranger.join(world, { localAddress: '127.0.0.1' });
  const { trackId } = await stranger.publish();
  let isPaused = false;
  const answers = await repeatUntil(isOver, async () => {
    isPaused = !isPaused;
    const said = await stranger.ask('track.pause', { trackId, paused: isPaused });
    const { status } = await fetch(new URL('/health', world.target.publicUrl));
    await sleep(100);
    return [`neighbour: ${said}`, `probe: ${status}`];
  });
  await stranger.leave();
  return answers;
}

export const WEB_FLOODS: Attack = {
  name: 'endless HTTP requests',
  world: 'plain',
  description:
    'requests pages, edges, schemas, tokens and unknown paths, forty at a time, from the address of a person in the meeting and of probes',
  allowedAnswers: [
    'http 200',
    'http 204',
    'http 400',
    'http 403',
    'http 404',
    'http 405',
    'http 429',
    'neighbour: ok',
    'probe: 200',
  ],
  strike: async (world, isOver) => {
    const flood = repeatUntil(isOver, async () => {
      const pending = Array.from({ length: AT_ONCE }, async (_, index) => {
        const [method, path] = REQUESTS[index % REQUESTS.length] ?? ['GET', '/'];
        const response = await fetch(new URL(path, world.target.publicUrl), { method });
        await response.arrayBuffer();
        return `http ${response.status}`;
      });
      return Promise.all(pending);
    });
    return (await Promise.all([flood, neighbour(world, isOver)])).flat();
  },
};
