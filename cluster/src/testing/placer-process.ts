import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { ERROR_CODES } from '../errors.ts';
import { EPOCH } from '../protocol/edge-media.ts';
import { EDGE_ID, MEDIA_NODE_ID, PEER_ID, REQUEST_ID, ROOM_ID } from '../protocol/ids.ts';
import type { StoreAddress } from '../redis/store-address.ts';
import { PLACEMENT } from '../room/placement-store.ts';
import type { PlaceRequest } from '../room/placement-store.ts';

const MAIN = fileURLToPath(new URL('./placer-main.ts', import.meta.url));

const ACCESS = { username: z.string().optional(), password: z.string().optional(), tls: z.boolean() };
const HOSTS = z.array(z.object({ host: z.string(), port: z.int() }));
/** The address as it comes out of JSON, which leaves out what is undefined. */
export const STORE_ADDRESS = z
  .discriminatedUnion('kind', [
    z.object({ kind: z.literal('single'), url: z.string() }),
    z.object({
      kind: z.literal('sentinel'),
      sentinels: HOSTS,
      name: z.string(),
      sentinelUsername: z.string().optional(),
      sentinelPassword: z.string().optional(),
      ...ACCESS,
    }),
    z.object({ kind: z.literal('cluster'), nodes: HOSTS, ...ACCESS }),
  ])
  .transform((address): StoreAddress => {
    const { kind } = address;
    if (kind === 'single') return address;
    const access = { username: address.username, password: address.password, tls: address.tls };
    if (kind === 'cluster') return { kind, nodes: address.nodes, ...access };
    const { sentinels, name, sentinelUsername, sentinelPassword } = address;
    return { kind, sentinels, name, sentinelUsername, sentinelPassword, ...access };
  });

const PLACE_REQUEST = z.object({
  roomId: ROOM_ID,
  peerId: PEER_ID,
  requestId: REQUEST_ID,
  edgeId: EDGE_ID,
  mediaNodeId: MEDIA_NODE_ID,
  replacesEpoch: EPOCH.exactOptional(),
  maxPeers: z.int(),
});
const LOAD_PLAN = z.object({
  /** Distinguishes this placer's rooms from those of others. */
  name: z.string().regex(/^[a-z0-9-]{1,32}$/),
  peersPerRoom: z.int().min(1),
  durationMs: z.int().min(1),
  /** How many placements are under way at most. */
  inFlight: z.int().min(1),
  /** Placements begun in a second, evenly; absent: as many as are answered. */
  perSecond: z.number().positive().exactOptional(),
  /** Whether each placement first reads the room as an edge does for the ladder. */
  readsRoom: z.boolean(),
});
export type LoadPlan = z.infer<typeof LOAD_PLAN>;

/** What a placer is asked. */
export const PLACER_TASK = z.discriminatedUnion('type', [
  /** All at once, at a moment of the system's clock, so that several placers begin together. */
  z.object({ type: z.literal('race'), atMs: z.number(), requests: z.array(PLACE_REQUEST) }),
  z.object({ type: z.literal('load'), plan: LOAD_PLAN }),
]);

const RACE_ANSWER = z.object({
  placement: PLACEMENT.exactOptional(),
  refused: z.enum(ERROR_CODES).exactOptional(),
});
export type RaceAnswer = z.infer<typeof RACE_ANSWER>;
const LOAD_RESULT = z.object({
  /** From the moment each was due, in milliseconds. */
  latenciesMs: z.array(z.number()),
  failed: z.int(),
  tookMs: z.number(),
});
export type LoadResult = z.infer<typeof LOAD_RESULT>;

export const PLACER_ANSWER = z.discriminatedUnion('type', [
  z.object({ type: z.literal('ready') }),
  z.object({ type: z.literal('race'), answers: z.array(RACE_ANSWER) }),
  z.object({ type: z.literal('load'), result: LOAD_RESULT }),
]);
export type PlacerAnswer = z.infer<typeof PLACER_ANSWER>;

/** A process of its own with one connection to the store, as an edge has one, that places peers. */
export class PlacerProcess {
  readonly #child: ChildProcess;

  /** Starts a process and waits until it is connected. */
  static async start(address: StoreAddress): Promise<PlacerProcess> {
    const placer = new PlacerProcess(address);
    await placer.#answer('ready');
    return placer;
  }

  private constructor(address: StoreAddress) {
    this.#child = fork(MAIN, [JSON.stringify(address)], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  }

  /** Makes all requests at once, not before a moment of the system's clock. Answers come in the order of requests. */
  async race(requests: readonly PlaceRequest[], atMs: number): Promise<readonly RaceAnswer[]> {
    this.#child.send({ type: 'race', atMs, requests: [...requests] });
    return (await this.#answer('race')).answers;
  }

  async load(plan: LoadPlan): Promise<LoadResult> {
    this.#child.send({ type: 'load', plan });
    return (await this.#answer('load')).result;
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exited = once(this.#child, 'exit');
    this.#child.disconnect();
    await exited;
  }

  async #answer<Type extends PlacerAnswer['type']>(
    type: Type,
  ): Promise<Extract<PlacerAnswer, { type: Type }>> {
    const isOfType = (answer: PlacerAnswer): answer is Extract<PlacerAnswer, { type: Type }> =>
      answer.type === type;
    return new Promise((resolve, reject) => {
      const ended = (code: number | null): void => reject(new Error(`The placer ended with ${code}.`));
      this.#child.once('exit', ended);
      this.#child.once('message', (message) => {
        this.#child.off('exit', ended);
        const answer = PLACER_ANSWER.parse(message);
        if (isOfType(answer)) resolve(answer);
        else reject(new Error(`The placer answered ${answer.type} to ${type}.`));
      });
    });
  }
}
