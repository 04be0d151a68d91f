import { after, entry, inBackground } from '../process/entry.ts';
import type { Cluster, Redis } from 'ioredis';
import { within } from './deadline.ts';

/** How much of a Redis Cluster answers: every slot, some, or none. */
export type Reach = 'whole' | 'part' | 'none';

/** How often a cluster that is not whole is looked at, in milliseconds. */
const LOOK_EVERY_MS = 1_000;
const LOOK_TIMEOUT_MS = 1_000;
const SLOTS = 16_384;

/** What one look at the cluster found. */
export interface ClusterLook {
  readonly masters: number;
  readonly answered: number;
  /** The answer to `CLUSTER INFO` of a master that answered. */
  readonly info: string;
}

export function reachOf({ masters, answered, info }: ClusterLook): Reach {
  const field = (name: string): string => new RegExp(`^${name}:(\\w+)`, 'm').exec(info)?.[1] ?? '';
  // A cluster that needs all its slots, or a minority of it, refuses everything.
  if (answered === 0 || field('cluster_state') !== 'ok') return 'none';
  return answered === masters && Number(field('cluster_slots_ok')) === SLOTS ? 'whole' : 'part';
}

/**
 * Watches how much of a Redis Cluster answers. ioredis tells when it has lost every node; that one master is lost, and
 * that its slots are served again, by it or by another, has to be looked for.
 */
export class ClusterWatch {
  readonly #cluster: Cluster;
  readonly #onChange: (reach: Reach) => void;
  #reach: Reach = 'none';
  #timer: NodeJS.Timeout | undefined;
  #isLooking = false;
  #isStopped = false;

  constructor(cluster: Cluster, onChange: (reach: Reach) => void) {
    this.#cluster = cluster;
    this.#onChange = onChange;
    // Not yet reachable: the look opens the connections to the masters, without which commands are refused.
    cluster.on(
      'ready',
      entry('store', () => this.#lookAfter(0)),
    );
    cluster.on(
      'close',
      entry('store', () => this.#change('none')),
    );
    cluster.on(
      '-node',
      entry('store', () => {
        // Even when another master has its slots by the time of the look: it may not know all that this one knew.
        if (this.#reach === 'whole') this.#change('part');
        this.suspect();
      }),
    );
  }

  get reach(): Reach {
    return this.#reach;
  }

  /** Looks soon: a command has failed in a way that an outage explains. */
  suspect(): void {
    this.#lookAfter(LOOK_EVERY_MS / 10);
  }

  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#timer);
  }

  #change(to: Reach): void {
    if (this.#reach === to || this.#isStopped) return;
    this.#reach = to;
    this.#onChange(to);
  }

  #lookAfter(delayMs: number): void {
    if (this.#timer !== undefined || this.#isLooking || this.#isStopped) return;
    this.#timer = after(delayMs, () => {
      this.#timer = undefined;
      inBackground(() => this.#look());
    });
  }

  async #look(): Promise<void> {
    if (this.#cluster.status !== 'ready') return;
    this.#isLooking = true;
    const reach = await this.#question();
    this.#isLooking = false;
    if (this.#isStopped || this.#cluster.status !== 'ready') return;
    this.#change(reach);
    if (reach !== 'whole') this.#lookAfter(LOOK_EVERY_MS);
  }

  async #question(): Promise<Reach> {
    // Brings back the masters that were dropped when their connection broke, so that they are asked as well.
    await within(new Promise<void>((done) => this.#cluster.refreshSlotsCache(() => done())), LOOK_TIMEOUT_MS)
      // Without fresh slots the known masters are asked.
      .catch(() => undefined);
    const masters = this.#cluster.nodes('master');
    const answers = await Promise.allSettled(masters.map(async (master) => infoOf(master)));
    const infos = answers.flatMap((answer) => (answer.status === 'fulfilled' ? [answer.value] : []));
    return reachOf({ masters: masters.length, answered: infos.length, info: infos[0] ?? '' });
  }
}

async function infoOf(master: Redis): Promise<string> {
  return String(await within(master.call('CLUSTER', 'INFO'), LOOK_TIMEOUT_MS));
}
