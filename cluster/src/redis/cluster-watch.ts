import { after, guardCallback, every, inBackground } from '../process/guarded-callbacks.ts';
import type { Cluster, Redis } from 'ioredis';
import { SIGN_OF_LIFE_MS } from './client.ts';
import { answerWithin } from './answer-within.ts';
import { SLOTS, slotOf } from './key-slot.ts';
import { isReplyError, storeTroubleOf } from './store-trouble.ts';
import type { StoreTrouble } from './store-trouble.ts';

/** How much of a Redis Cluster answers: every slot, some, or none. */
export type Coverage = 'whole' | 'part' | 'none';

/** How often a cluster that is not whole is checked, in milliseconds. */
const LOOK_EVERY_MS = 1_000;
const LOOK_TIMEOUT_MS = 1_000;
/** A master that answers a `PING` later than this is checked, in milliseconds. */
const LATE_MS = 1_000;

/** The result of one check of the cluster. */
export interface ClusterLook {
  readonly masters: number;
  /** Masters that answered and accepted a write. */
  readonly answered: number;
  /** The `CLUSTER INFO` of a master that answered. */
  readonly info: string;
}

/** The coverage that a check found, and the reason if it is not the whole. */
interface Found {
  readonly reach: Coverage;
  readonly trouble: StoreTrouble | undefined;
}

/** A slot range of the node that gave this `CLUSTER NODES`, if it is a master with slots. */
export function ownSlots(nodes: string): { readonly first: number; readonly last: number } | undefined {
  const [, slots = ''] = /^\S+ \S+ \S*\bmyself,master\S* \S+ \S+ \S+ \S+ \S+ (.*)$/m.exec(nodes) ?? [];
  const ranges = slots
    .split(' ')
    .flatMap((range) => {
      const [, first, last] = /^(\d+)(?:-(\d+))?$/.exec(range) ?? [];
      return first === undefined ? [] : [{ first: Number(first), last: Number(last ?? first) }];
    })
    .sort((left, right) => right.last - right.first - (left.last - left.first));
  return ranges[0];
}

export function reachOf({ masters, answered, info }: ClusterLook): Coverage {
  const field = (name: string): string => new RegExp(`^${name}:(\\w+)`, 'm').exec(info)?.[1] ?? '';
  // A cluster that requires all slots, or a minority of it, refuses everything.
  if (answered === 0 || field('cluster_state') !== 'ok') return 'none';
  return answered === masters && Number(field('cluster_slots_ok')) === SLOTS ? 'whole' : 'part';
}

/**
 * Watches how much of a Redis Cluster answers. ioredis reports only the loss of every node. The loss of one master, and
 * the return of its slots on it or another, must be checked for.
 */
export class ClusterWatch {
  readonly #cluster: Cluster;
  readonly #probe: ProbeMaster;
  readonly #onFound: (reach: Coverage, trouble: StoreTrouble | undefined) => void;
  #coverage: Coverage = 'none';
  #failure: unknown;
  /** Masters that did not answer a check's commands yet, by ioredis' names. */
  readonly #silent = new Set<string>();
  #timer: NodeJS.Timeout | undefined;
  #isLooking = false;
  #isStopped = false;
  readonly #pinging: NodeJS.Timeout;

  constructor(
    cluster: Cluster,
    probe: ProbeMaster,
    onFound: (reach: Coverage, trouble: StoreTrouble | undefined) => void,
  ) {
    this.#cluster = cluster;
    this.#probe = probe;
    this.#onFound = onFound;
    const onFailure = guardCallback('store', (error: Error) => {
      this.#failure = error;
      if (cluster.status !== 'ready') this.#found({ reach: 'none', trouble: storeTroubleOf(error) });
    });
    cluster.on('error', onFailure);
    cluster.on('node error', onFailure);
    this.#pinging = every(SIGN_OF_LIFE_MS, () => this.#pingMasters());
    // The cluster is not reachable yet: the check opens the connections to the masters, without which commands are
    // refused.
    cluster.on(
      'ready',
      guardCallback('store', () => this.#lookAfter(0)),
    );
    cluster.on(
      'close',
      guardCallback('store', () => this.#found({ reach: 'none', trouble: storeTroubleOf(this.#failure) })),
    );
    cluster.on(
      '-node',
      guardCallback('store', () => {
        // This counts even if another master has its slots by the time of the check: that one may lack the latest
        // writes.
        if (this.#coverage === 'whole')
          this.#found({ reach: 'part', trouble: storeTroubleOf(this.#failure) });
        this.suspect();
      }),
    );
  }

  /** Pings the masters, since a silently cut connection shows only that way, whether or not commands use it. */
  async #pingMasters(): Promise<void> {
    if (this.#cluster.status !== 'ready') return;
    const masters = this.#cluster.nodes('master').filter(({ status }) => status === 'ready');
    const answers = await Promise.allSettled(
      masters.map(async (master) => answerWithin(LATE_MS, master.ping())),
    );
    if (answers.some(({ status }) => status === 'rejected')) this.suspect();
  }

  get reach(): Coverage {
    return this.#coverage;
  }

  /**
   * Whether the master of a key is known not to answer: commands to it would wait until their callers have stopped
   * waiting.
   */
  isSilent(key: string): boolean {
    if (this.#silent.size === 0) return false;
    const master = this.#cluster.slots[slotOf(key)]?.[0];
    return master !== undefined && this.#silent.has(master);
  }

  /** Checks soon: a command has failed as in an outage. */
  suspect(): void {
    this.#lookAfter(LOOK_EVERY_MS / 10);
  }

  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#timer);
    clearInterval(this.#pinging);
  }

  #found({ reach, trouble }: Found): void {
    if (this.#isStopped) return;
    this.#coverage = reach;
    this.#onFound(reach, trouble);
  }

  #lookAfter(delayMs: number): void {
    if (this.#timer !== undefined || this.#isLooking || this.#isStopped) return;
    this.#timer = after(delayMs, () => {
      this.#timer = undefined;
      inBackground(() => this.#check());
    });
  }

  async #check(): Promise<void> {
    if (this.#cluster.status !== 'ready') return;
    this.#isLooking = true;
    const found = await this.#question();
    this.#isLooking = false;
    if (this.#isStopped || this.#cluster.status !== 'ready') return;
    this.#failure = undefined;
    this.#found(found);
    if (found.reach !== 'whole') this.#lookAfter(LOOK_EVERY_MS);
  }

  async #question(): Promise<Found> {
    // Restores the masters that ioredis dropped when their connection broke, so that they are checked as well.
    await answerWithin(
      LOOK_TIMEOUT_MS,
      new Promise<void>((done) => this.#cluster.refreshSlotsCache(() => done())),
    )
      // Without fresh slots the known masters are checked.
      .catch(() => undefined);
    const masters = this.#cluster.nodes('master');
    const answers = await Promise.allSettled(masters.map(async (master) => this.#ask(master)));
    for (const [index, master] of masters.entries()) {
      const answer = answers[index];
      if (answer === undefined) continue;
      // A replaced connection loses its pending commands: only an answer, of any kind, shows that the master is up.
      if (answer.status === 'fulfilled' || isReplyError(answer.reason)) this.#silent.delete(nameOf(master));
      else if (storeTroubleOf(answer.reason) === 'no_answer') this.#silent.add(nameOf(master));
    }
    this.#forgetReplaced();
    const infos = answers.flatMap((answer) => (answer.status === 'fulfilled' ? [answer.value] : []));
    const reach = reachOf({ masters: masters.length, answered: infos.length, info: infos[0] ?? '' });
    if (reach === 'whole') return { reach, trouble: undefined };
    const refusal = answers.find((answer) => answer.status === 'rejected');
    return { reach, trouble: refusal === undefined ? 'slots_away' : storeTroubleOf(refusal.reason) };
  }

  /**
   * A silent master whose slots others serve is not checked any more. If it gets slots again, it does not count as
   * silent until a check finds it so.
   */
  #forgetReplaced(): void {
    if (this.#silent.size === 0) return;
    const owners = new Set(this.#cluster.slots.map(([master]) => master));
    for (const name of this.#silent) if (!owners.has(name)) this.#silent.delete(name);
  }

  /** @returns the text of `CLUSTER INFO`. @throws Error if the master does not answer or refuses a write */
  async #ask(master: Redis): Promise<string> {
    const ask = async (what: 'INFO' | 'NODES'): Promise<string> =>
      String(await answerWithin(LOOK_TIMEOUT_MS, master.call('CLUSTER', what)));
    const [info, nodes] = await Promise.all([ask('INFO'), ask('NODES')]);
    const slots = ownSlots(nodes);
    if (slots !== undefined) await answerWithin(LOOK_TIMEOUT_MS, this.#probe(master, slots));
    return info;
  }
}

const nameOf = ({ options: { host = '127.0.0.1', port = 6379 } }: Redis): string => `${host}:${port}`;

/** Writes a probe to a master, into one of its slots. */
export type ProbeMaster = (
  master: Redis,
  slots: { readonly first: number; readonly last: number },
) => Promise<unknown>;
