/** Clients that resume again and again: ended sessions, and one that is alive. */
import type { Answers, Attack } from '../attack.ts';
import { repeatUntil } from '../attack.ts';
import { HandshakeRefused, RawClient } from '../raw-client.ts';
import { Stranger } from '../stranger.ts';

const GONE = 40;
/** How many connections resume each session at a time. */
const AT_ONCE = 5;

export const RETURNING: readonly Attack[] = [
  {
    name: 'two hundred connections that resume ended sessions',
    world: 'plain',
    description:
      'resumes forty sessions that have ended, over five connections each, while one client resumes a live session',
    allowedAnswers: ['session_gone', 'rate_limited', 'timed_out', 'closed', 'honest: ok'],
    strike: async (world, isOver) => {
      const gone: Stranger[] = [];
      for (let count = 0; count < GONE; count += 1) {
        const stranger = await Stranger.join(world, { roomId: `gone-${count}` });
        await stranger.leave();
        gone.push(stranger);
      }
      const resumeGone = gone.flatMap((stranger) =>
        Array.from({ length: AT_ONCE }, () =>
          repeatUntil(isOver, () =>
            world.onFreshConnection(async (client) => {
              const { outcome } = await stranger.resumeOn(client, stranger.joined.session.sessionToken);
              return outcome;
            }),
          ),
        ),
      );
      const honest = await Stranger.join(world, { roomId: 'honest' });
      let { client: current } = honest;
      let { sessionToken } = honest.joined.session;
      const resumeHonest = repeatUntil(isOver, async () => {
        const client = await world.enter({ localAddress: world.nextAddress() });
        const resumed = await honest.resumeOn(client, sessionToken);
        ({ sessionToken } = resumed);
        current = client;
        // This pace fits into a session's budget.
        await new Promise((resolve) => setTimeout(resolve, 500));
        return `honest: ${resumed.outcome}`;
      });
      const answers = await Promise.all([...resumeGone, resumeHonest]);
      await current.ask('leave', {});
      await current.close();
      return [...new Set(answers.flat())];
    },
  },
  {
    name: 'a session that moves between edges without end',
    world: 'plain',
    description:
      'resumes its session on one edge and the other in turn, and spends the budget that it finds there',
    allowedAnswers: ['ok', 'rate_limited', 'flooding', 'closed', 'replaced', 'session_gone', 'token_invalid'],
    strike: async (world, isOver) => {
      const answers = new Set<string>();
      const localAddress = world.nextAddress();
      const stranger = await Stranger.join(world, { localAddress, roomId: 'hopping' });
      let { sessionToken } = stranger.joined.session;
      for (let hop = 0; !isOver(); hop += 1) {
        const edge = world.cluster.edges[hop % world.cluster.edges.length];
        const client = await RawClient.open((edge ?? world.target).publicUrl, { localAddress });
        await client.enter();
        const resumed = await stranger.resumeOn(client, sessionToken);
        answers.add(resumed.outcome);
        ({ sessionToken } = resumed);
        const pending = Array.from({ length: 60 }, () => client.ask('edge.check', {}));
        for (const answer of await Promise.all(pending)) if (answer !== 'out_of_order') answers.add(answer);
        client.terminate();
      }
      stranger.client.terminate();
      return [...answers];
    },
  },
  {
    name: 'connections opened and closed without end',
    world: 'plain',
    description:
      'opens a namespace, leaves it with `41`, opens it again, and reconnects, as fast as one address may',
    allowedAnswers: ['ok', 'closed', 'ignored', 'refused 403', 'refused 429', 'refused 503'],
    strike: async (world, isOver) => {
      const localAddress = world.nextAddress();
      const cycle = async (): Promise<Answers> =>
        repeatUntil(isOver, async () => {
          try {
            const client = await world.connect({ localAddress });
            const answers = [await client.enter()];
            client.send('41');
            client.send('40');
            client.send('41');
            await client.close();
            return answers;
          } catch (error) {
            if (!(error instanceof HandshakeRefused)) throw error;
            return error.message;
          }
        });
      const answers = await Promise.all(Array.from({ length: 20 }, cycle));
      return [...new Set(answers.flat())];
    },
  },
];
