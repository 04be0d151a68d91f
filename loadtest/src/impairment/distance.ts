/**
 * Distance between datacenters of one machine. It is a process of its own, because it has to be in the network namespace
 * between them, and because a benchmark must not delay its packets.
 */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { checkImpairment } from './impairment.ts';
import type { Endpoint, Impairment, Path, RelayCounts } from './impairment.ts';
import { seededRandom } from '@plenary/cluster/testing/seeded-random';
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
/** The impairment of one direction: packets from any of these hosts to any of those. */
const ONE_WAY = z.object({ from: z.array(z.string()), to: z.array(z.string()), impairment: IMPAIRMENT });
/** The process answers each command once, with its UDP counts. */
const COMMAND = z.union([z.literal('counts'), z.array(ONE_WAY), IMPAIRMENT]);

/** A direction that differs from the others. TCP connections do not know their origin, so the hosts that they go to decide. */
export type OneWay = z.infer<typeof ONE_WAY>;

/** How many characters of the process's last output are kept. */
const MAX_COMPLAINT = 1_000;

export interface DistanceOptions {
  /** The network namespace that has the addresses of all the others. */
  readonly namespace: string;
  /** Every address and port that UDP goes from or to. */
  readonly udp: readonly Endpoint[];
  /** Every address and port that TCP is accepted at. */
  readonly tcp: readonly Endpoint[];
  readonly impairment: Impairment;
  /** Makes jitter and loss reproducible. */
  readonly seed?: number;
}

/** The starter's side. It sends one command at a time. */
export class Distance {
  readonly #child: ChildProcess;

  #complaint = '';

  private constructor(child: ChildProcess) {
    this.#child = child;
    child.stderr?.on('data', (text: Buffer) => {
      this.#complaint = `${this.#complaint}${text.toString()}`.slice(-MAX_COMPLAINT);
    });
  }

  /** @throws Error if it cannot listen on an address */
  static async start({ namespace, udp, tcp, impairment, seed = 1 }: DistanceOptions): Promise<Distance> {
    const plan = { udp: [...udp], tcp: [...tcp], impairment: checkImpairment(impairment), seed };
    const args = ['netns', 'exec', namespace, process.execPath, fileURLToPath(import.meta.url)];
    const child = spawn('ip', args, { stdio: ['ignore', 'inherit', 'pipe', 'ipc'] });
    const distance = new Distance(child);
    await distance.#ask(plan);
    return distance;
  }

  /** The counts of UDP so far. */
  counts(): Promise<RelayCounts> {
    return this.#ask('counts');
  }

  /** Changes the path for packets from now on; packets in flight arrive as before. */
  async setImpairment(impairment: Impairment): Promise<void> {
    await this.#ask(checkImpairment(impairment));
  }

  /** Replaces the directions that differ from the others. The first match counts. */
  async setWays(ways: readonly OneWay[]): Promise<void> {
    for (const { impairment } of ways) checkImpairment(impairment);
    await this.#ask([...ways]);
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
        reject(new Error(`the process between the datacenters has ended: ${this.#complaint.trim()}`));
      };
      const answered = (answer: unknown): void => {
        this.#child.off('close', ended);
        resolve(COUNTS.parse(answer));
      };
      this.#child.once('message', answered);
      this.#child.once('close', ended);
      this.#child.send(message);
    });
  }
}

/** Creates the path between two hosts at the first packet. */
function pathsTo(
  ends: readonly Endpoint[],
  make: (from: string, to: Endpoint, nth: number) => Path,
): (from: string, index: number) => Path {
  const known = ends.map(() => new Map<string, Path>());
  return (from, index) => {
    const to = ends[index];
    const path = known[index]?.get(from);
    if (path !== undefined) return path;
    if (to === undefined) throw new RangeError(`there is no end ${index}`);
    const made = make(from, to, index);
    known[index]?.set(from, made);
    return made;
  };
}

async function carry(answer: (counts: RelayCounts) => void): Promise<void> {
  const plan = PLAN.parse((await once(process, 'message'))[0]);
  let { impairment } = plan;
  let ways: readonly OneWay[] = [];
  // Each end has its own random sequence, so that one end's traffic does not change what another one loses.
  const randoms = [...plan.udp, ...plan.tcp].map((_, nth) => seededRandom(plan.seed + nth * 7_919));
  const path = (from: string | undefined, to: Endpoint, nth: number): Path => ({
    impairment: () =>
      ways.find((way) => (from === undefined || way.from.includes(from)) && way.to.includes(to.host))
        ?.impairment ?? impairment,
    random: randoms[nth] ?? Math.random,
  });
  const crossing = await UdpCrossing.listen(plan.udp, pathsTo(plan.udp, path));
  // In the namespace between, the same address leads to the real process.
  for (const [index, endpoint] of plan.tcp.entries())
    await TcpRelay.listen(endpoint, endpoint, path(undefined, endpoint, plan.udp.length + index));
  process.on('message', (message) => {
    const command = COMMAND.parse(message);
    if (Array.isArray(command)) ways = command;
    else if (command !== 'counts') impairment = command;
    answer(crossing.counts);
  });
  answer(crossing.counts);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  // The process ends with its parent, however that ends.
  process.on('disconnect', () => process.exit());
  carry((counts) => process.send?.(counts)).catch((error: unknown) => {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    process.exit(1);
  });
}
