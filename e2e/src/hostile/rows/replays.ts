/** Attackers who repeat, at a high rate, the frames with which a person came back. */
import type { Answers, Attack } from '../attack.ts';
import { repeatUntil } from '../attack.ts';
import type { HostileWorld } from '../hostile-world.ts';
import { HandshakeRefused } from '../raw-client.ts';
import { joinPayload, JoinRefused, Stranger } from '../stranger.ts';

const FLOWS = 10;
/** How often a frame is sent on one connection, without waiting for answers. */
const TIMES = 50;

/** Repeats a request on fresh connections. @returns its answers */
async function replay(
  world: HostileWorld,
  isOver: () => boolean,
  name: 'resume' | 'join',
  payload: unknown,
): Promise<Answers> {
  const flow = (): Promise<Answers> =>
    repeatUntil(isOver, async () => {
      try {
        return await world.onFreshConnection(async (client) => {
          const answers = Array.from({ length: TIMES }, () => client.ask(name, payload));
          return [...new Set(await Promise.all(answers))];
        });
      } catch (error) {
        if (!(error instanceof HandshakeRefused)) throw error;
        return error.message;
      }
    });
  return (await Promise.all(Array.from({ length: FLOWS }, flow))).flat();
}

export const REPLAYS: Attack = {
  name: 'frames of a resume and a rejoin, repeated',
  world: 'plain',
  description:
    'records a successful resume and a successful rejoin, and sends both frames again, 50 times on each of many connections',
  allowedAnswers: ['proof_invalid', 'rate_limited', 'flooding', 'closed', 'out_of_order', 'victim: ok'],
  strike: async (world, isOver) => {
    const roomId = 'overheard';
    const victim = await Stranger.join(world, { roomId });
    const { sessionToken, rejoinToken } = victim.joined.session;
    if (rejoinToken === undefined) throw new JoinRefused('no rejoin token');
    const client = await world.enter({ localAddress: world.nextAddress() });
    const resume = {
      protocolVersion: 1,
      roomId,
      sessionToken,
      proof: await victim.key.prove(client.id, sessionToken),
      lastEventId: victim.joined.room.lastEventId,
    };
    const answers = new Set([`victim: ${await client.ask('resume', resume)}`]);
    const second = await world.enter({ localAddress: world.nextAddress() });
    const proof = await victim.key.proveRejoin(second.id, rejoinToken);
    const rejoin = await joinPayload(world, { roomId, token: rejoinToken, join: { proof } }, victim.key);
    answers.add(`victim: ${await second.ask('join', rejoin)}`);
    const told = await Promise.all([
      replay(world, isOver, 'resume', resume),
      replay(world, isOver, 'join', rejoin),
    ]);
    for (const answer of told.flat()) answers.add(answer);
    for (const one of [client, second]) {
      answers.add(`victim: ${await one.ask('leave', {})}`);
      await one.close();
    }
    await victim.client.close();
    return [...answers];
  },
};
