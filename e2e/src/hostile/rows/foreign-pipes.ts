/** A media node that was taken over requests tracks over paths that anybody can read (SECURITY, "A media node that was taken over"). */
import { randomUUID } from 'node:crypto';
import { MEDIA_NODE_ID } from '@plenary/cluster/ids';
import { REPLY_ENVELOPE } from '@plenary/cluster/protocol';
import {
  CONTROL_NOTICES,
  identityOfNodeKeys,
  identityOfSecrets,
  LinkCaller,
  mintIncarnation,
  nodeKeyText,
  parseNodeKey,
} from '@plenary/cluster/testing/attackers';
import type { ControlIdentity } from '@plenary/cluster/testing/attackers';
import { io } from 'socket.io-client';
import { z } from 'zod';
import { until } from '../../harness/until.ts';
import type { Answers, Attack } from '../attack.ts';
import { repeatUntil } from '../attack.ts';
import type { HostileWorld } from '../hostile-world.ts';
import { withRedis } from '../with-redis.ts';
import { MEETING_ROOM } from '../meeting-room.ts';

const ANSWER_WITHIN_MS = 20_000;
const LIAR = MEDIA_NODE_ID.parse('mallory');
const HELLO = CONTROL_NOTICES.hello.payload;
const LOCATED = z.object({ routerId: z.string() });

/** An attacker's control link. */
class ForeignLink {
  readonly #caller: LinkCaller;
  readonly #socket: ReturnType<typeof io>;
  #hello: z.infer<typeof HELLO> | undefined;
  #isClosed = false;

  constructor(world: HostileWorld, identity: ControlIdentity) {
    const caller = { kind: 'media-node', id: LIAR, incarnation: mintIncarnation() } as const;
    this.#caller = new LinkCaller({
      identity,
      caller,
      mediaNodeId: MEDIA_NODE_ID.parse(world.targetNode.id),
      routes: { hello: (hello) => (this.#hello = HELLO.parse(hello)) },
      onMalformed: () => undefined,
      onRefused: () => (this.#isClosed = true),
    });
    this.#socket = io(world.targetNode.controlUrl, {
      transports: ['websocket'],
      forceNew: true,
      reconnection: false,
      auth: this.#caller.auth,
    });
    for (const event of ['disconnect', 'connect_error'])
      this.#socket.on(event, () => (this.#isClosed = true));
    this.#caller.attach(this.#socket);
  }

  /** @returns the node's hello, or `undefined` if it does not trust the caller */
  async opened(): Promise<z.infer<typeof HELLO> | undefined> {
    await until('a link, or its end', () => this.#hello !== undefined || this.#isClosed, Boolean);
    return this.#hello;
  }

  /** @returns `ok` with the answer, or an error code */
  async ask(name: string, payload: unknown): Promise<{ readonly outcome: string; readonly data?: unknown }> {
    const answer = await this.#caller.timeout(ANSWER_WITHIN_MS).emitWithAck(name, payload);
    const envelope = REPLY_ENVELOPE.parse(answer);
    return envelope.ok ? { outcome: 'ok', data: envelope.data } : { outcome: envelope.error.code };
  }

  close(): void {
    this.#socket.disconnect();
  }
}

/** The identity of another node, with the key that an attacker on it has. */
function withStolenKey({ cluster }: HostileWorld): ControlIdentity {
  const key = parseNodeKey(nodeKeyText(cluster.clusterSecret, LIAR));
  if (key === undefined) throw new Error('that is a key');
  return identityOfNodeKeys(LIAR, [key]);
}

const withOtherSecret = (): ControlIdentity =>
  identityOfSecrets([randomUUID()], { kind: 'media-node', id: LIAR });

/** A room and a track of the target node, read from the store. */
async function someTrack(
  world: HostileWorld,
): Promise<{ readonly roomId: string; readonly trackId: string }> {
  return withRedis(world, async (redis) => {
    const key = `*/${MEETING_ROOM}}:tracks`;
    const [tracksKey = ''] = (await redis.keys(key)).filter((name) => !name.includes('rival/'));
    const found = Object.entries(await redis.hgetall(tracksKey)).find(
      ([, record]) => record.split('|')[1] === world.targetNode.id,
    );
    const [, roomId = ''] = /\{room:(.*)\}/.exec(tracksKey) ?? [];
    return { roomId, trackId: found?.[0] ?? '' };
  });
}

async function askForMedia(world: HostileWorld): Promise<Answers> {
  const stranger = new ForeignLink(world, withOtherSecret());
  const believed = await stranger.opened();
  stranger.close();
  const link = new ForeignLink(world, withStolenKey(world));
  try {
    const hello = await link.opened();
    if (hello === undefined) return ['a node with its own key gets no link'];
    const { roomId, trackId } = await someTrack(world);
    const located = await link.ask('pipe.locate', { roomId, trackId });
    if (located.outcome !== 'ok') return [`locate: ${located.outcome}`];
    const key = { roomId, fromRouterId: 'theirs', toRouterId: LOCATED.parse(located.data).routerId };
    // 192.0.2.1 is reserved for documentation (RFC 5737); it stands for a listener elsewhere.
    const [here, elsewhere] = ['127.0.0.1', '192.0.2.1'].map((address) => ({ address, port: 9 }));
    const own = hello.machineId;
    const attempts = [
      { end: here },
      { end: elsewhere },
      { end: here, machineId: 'another-machine' },
      { end: elsewhere, machineId: own },
      { end: elsewhere, machineId: own, toAddress: world.targetNode.announcedAddress },
      { end: elsewhere, machineId: own, toAddress: '192.0.2.1' },
      { end: here, machineId: 'another-machine', toAddress: '192.0.2.1' },
    ];
    const answers = [believed === undefined ? 'closed' : 'a stranger is believed'];
    for (const attempt of attempts)
      answers.push((await link.ask('pipe.open', { ...key, ...attempt })).outcome);
    // Only edges may send this request, not media nodes.
    answers.push((await link.ask('peer.drop', { roomId, peerId: 'anybody', epoch: 1 })).outcome);
    return answers;
  } finally {
    link.close();
  }
}

/** How many pipes are requested at a time: a node that was taken over waits for no answer. */
const PIPES_AT_ONCE = 64;

/** Each pipe takes ports and mediasoup calls, and names a router that does not exist. */
async function askWithoutEnd(world: HostileWorld, isOver: () => boolean): Promise<Answers> {
  const link = new ForeignLink(world, withStolenKey(world));
  try {
    const hello = await link.opened();
    if (hello === undefined) return ['a node with its own key gets no link'];
    const { roomId, trackId } = await someTrack(world);
    const located = await link.ask('pipe.locate', { roomId, trackId });
    if (located.outcome !== 'ok') return [`locate: ${located.outcome}`];
    const { routerId: toRouterId } = LOCATED.parse(located.data);
    const end = { address: '127.0.0.1', port: 9 };
    let opened = 0;
    const open = async (): Promise<string> => {
      opened += 1;
      const key = { roomId, fromRouterId: `theirs-${opened}`, toRouterId };
      return (await link.ask('pipe.open', { ...key, end, machineId: hello.machineId })).outcome;
    };
    return await repeatUntil(isOver, async () => Promise.all(Array.from({ length: PIPES_AT_ONCE }, open)));
  } finally {
    link.close();
  }
}

export const FOREIGN_PIPES: readonly Attack[] = [
  {
    name: 'pipes for a media node that was taken over',
    world: 'plain',
    description:
      'opens links as a media node, without its key and with it, and requests unencrypted pipes with other machines, from and to other addresses',
    allowedAnswers: ['closed', 'invalid_media_parameters', 'forbidden'],
    strike: (world, isOver) => repeatUntil(isOver, () => askForMedia(world)),
  },
  {
    name: 'pipes without end for a media node that was taken over',
    world: 'plain',
    description:
      'opens a link with a media node’s key, and requests sixty-four pipes at a time, each for another router, as fast as they are answered',
    allowedAnswers: ['ok', 'rate_limited'],
    strike: askWithoutEnd,
  },
];
