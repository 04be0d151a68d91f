/** Those who send again, at a high rate, what once brought somebody back. */
import type { Answers, Attack } from '../attack.ts';
import { over } from '../attack.ts';
import type { HostileWorld } from '../hostile-world.ts';
import { HandshakeRefused } from '../raw-client.ts';
import { joinPayload, NotLetIn, Stranger } from '../stranger.ts';

const FLOWS = 10;
/** Of one frame, on one connection, without waiting for an answer. */
const TIMES = 50;

/** @returns what a request was answered with that is sent again and again on fresh connections */
async function replay(
  world: HostileWorld,
  isOver: () => boolean,
  name: 'resume' | 'join',
  payload: unknown,
): Promise<Answers> {
  const flow = (): Promise<Answers> =>
    over(isOver, async () => {
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
  name: 'frames that brought somebody back, again and again',
  world: 'plain',
  does: 'overhears a resume and a join by a rejoin token that went well, and sends both frames again, 50 times on each of many connections',
  gets: ['proof_invalid', 'rate_limited', 'flooding', 'closed', 'out_of_order', 'victim: ok'],
  strike: async (world, isOver) => {
    const roomId = 'overheard';
    const victim = await Stranger.join(world, { roomId });
    const { sessionToken, rejoinToken } = victim.joined.session;
    if (rejoinToken === undefined) throw new NotLetIn('no rejoin token');
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
