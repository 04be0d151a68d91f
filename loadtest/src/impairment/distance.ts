/**
 * Distance between datacenters of one machine, in a process of its own: it lives in their network namespace in between, and
 * whoever measures is not to hold up packets.
 */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { checkImpairment } from './impairment.ts';
import type { Endpoint, Impairment, RelayCounts } from './impairment.ts';
import { seededRandom } from './seeded-random.ts';
import { TcpRelay } from './tcp-relay.ts';
import { UdpCrossing } from './udp-crossing.ts';

const ENDPOINT = z.object({ host: z.string(), port: z.int() });
const IMPAIRMENT = z.object({ delayMs: z.number(), jitterMs: z.number(), lossRate: z.number() });
const PLAN = z.object({
  udp: z.array(ENDPOINT),
  tcp: z.array(ENDPOINT),
  impairment: IMPAIRMENT,
  seed: z.int(),
});
const COUNTS = z.object({ forwarded: z.int(), lost: z.int(), overflowed: z.int(), failed: z.int() });
/** Each command is answered once, by the counts of UDP. */
const COMMAND = z.union([z.literal('counts'), IMPAIRMENT]);

export interface DistanceOptions {
  /** The network namespace that has the addresses of all the others. */
  readonly namespace: string;
  /** Every address and port that UDP goes from or to. */
  readonly udp: readonly Endpoint[];
  /** Every address and port that TCP is accepted at. */
  readonly tcp: readonly Endpoint[];
  readonly impairment: Impairment;
  /** Makes jitter and loss repeatable. */
  readonly seed?: number;
}

/** The side of whoever starts it. One command at a time. */
export class Distance {
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess) {
    this.#child = child;
  }

  /** @throws Error when an address cannot be listened at */
  static async start({ namespace, udp, tcp, impairment, seed = 1 }: DistanceOptions): Promise<Distance> {
    const plan = { udp: [...udp], tcp: [...tcp], impairment: checkImpairment(impairment), seed };
    const args = ['netns', 'exec', namespace, process.execPath, fileURLToPath(import.meta.url)];
    const child = spawn('ip', args, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
    const distance = new Distance(child);
    await distance.#ask(plan);
    return distance;
  }

  /** What became of UDP so far. */
  counts(): Promise<RelayCounts> {
    return this.#ask('counts');
  }

  /** Changes the way for what comes from now on; what is under way arrives as it would have. */
  async setImpairment(impairment: Impairment): Promise<void> {
    await this.#ask(checkImpairment(impairment));
  }

  async close(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = once(this.#child, 'exit');
    this.#child.disconnect();
    await ended;
  }

  #ask(message: z.infer<typeof PLAN> | z.infer<typeof COMMAND>): Promise<RelayCounts> {
    return new Promise((resolve, reject) => {
      const ended = (): void => {
        this.#child.off('message', answered);
        reject(new Error('the process between the datacenters has ended'));
      };
      const answered = (answer: unknown): void => {
        this.#child.off('exit', ended);
        resolve(COUNTS.parse(answer));
      };
      this.#child.once('message', answered);
      this.#child.once('exit', ended);
      this.#child.send(message);
    });
  }
}

async function carry(answer: (counts: RelayCounts) => void): Promise<void> {
  const plan = PLAN.parse((await once(process, 'message'))[0]);
  let { impairment } = plan;
  const path = (nth: number) => ({
    impairment: () => impairment,
    // A stream of numbers of its own for each end, so that the traffic to one does not shift another's fate.
    random: seededRandom(plan.seed + nth * 7_919),
  });
  const crossing = await UdpCrossing.listen(plan.udp, path);
  // From in between, the same address leads to the real one.
  for (const [index, endpoint] of plan.tcp.entries())
    await TcpRelay.listen(endpoint, endpoint, path(plan.udp.length + index));
  process.on('message', (message) => {
    const command = COMMAND.parse(message);
    if (command !== 'counts') impairment = command;
    answer(crossing.counts);
  });
  answer(crossing.counts);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  // Its starter's end, however that ends, is its own.
  process.on('disconnect', () => process.exit());
  carry((counts) => process.send?.(counts)).catch((error: unknown) => {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    process.exit(1);
  });
}
