/** Requests by HTTP without end (SPEC BU21). */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Answers, Attack } from '../attack.ts';
import { over } from '../attack.ts';
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

/** People who share the address go on, and so do probes: they are told nothing but that all is well. */
async function neighbour(world: HostileWorld, isOver: () => boolean): Promise<Answers> {
  const stranger = await Stranger.join(world, { localAddress: '127.0.0.1' });
  const { trackId } = await stranger.publish();
  let isPaused = false;
  const answers = await over(isOver, async () => {
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
  name: 'requests by HTTP without end',
  world: 'plain',
  does: 'asks for pages, edges, schemas, tokens and what there is not, forty at a time, by the address of somebody in the meeting and of probes',
  gets: [
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
    const flood = over(isOver, async () => {
      const asked = Array.from({ length: AT_ONCE }, async (_, index) => {
        const [method, path] = REQUESTS[index % REQUESTS.length] ?? ['GET', '/'];
        const response = await fetch(new URL(path, world.target.publicUrl), { method });
        await response.arrayBuffer();
        return `http ${response.status}`;
      });
      return Promise.all(asked);
    });
    return (await Promise.all([flood, neighbour(world, isOver)])).flat();
  },
};
