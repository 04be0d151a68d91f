/** The parts of an edge over a store in memory and scripted media nodes, for unit tests of what it decides. */
import {
  CONTROL_REQUESTS,
  ManualClock,
  MemoryRoomStores,
  MemoryTenantStore,
  PlenaryError,
  callFrom,
} from '@plenary/cluster';
import type {
  ControlReply,
  ControlRequestInput,
  ControlRequestName,
  Epoch,
  Incarnation,
  MemoryRooms,
  PlacedPeer,
  Placement,
  RoomStores,
} from '@plenary/cluster';
import type { EdgeNoticeName, LoggedEvent, Role } from '@plenary/cluster/protocol';
import { EntryReconciler } from '../entries/entry-reconciler.ts';
import { edge, mediaNode, peer, request, room, SAMPLE_SESSION_KEY } from '@plenary/cluster/testing/samples';
import { roomNameOf, tenantOf } from '@plenary/cluster/ids';
import type { MediaNodeId } from '@plenary/cluster/ids';
import type { MediaNodeLink, MediaLinks } from '../media/control-links.ts';
import { PeerDrops } from '../media/peer-drops.ts';
import { createEdgeMetrics } from '../metrics.ts';
import { LocalRooms } from '../room/local-rooms.ts';
import { Departures } from '../recovery/departures.ts';
import { Session } from '../entry/session.ts';
import { TenantClaims } from '../entry/tenant-claims.ts';
import type { ClientSocket, EdgeMessage, RoomChannel } from '../transport/client-socket.ts';

export const OWN_EDGE = edge('own');
export const ROOM = room('room');

/** Answers a request, now or later, or throws a PlenaryError. */
type Script = (name: ControlRequestName, payload: unknown) => unknown;

/** A link to a media node that answers as a test says, and remembers what it was asked. */
export class ScriptedLink implements MediaNodeLink {
  readonly mediaNodeId: MediaNodeId;
  readonly incarnation: Incarnation | undefined = undefined;
  readonly asked: { readonly name: ControlRequestName; readonly payload: unknown }[] = [];
  isUp = true;
  /** While it is down: resolves when nobody waits for it any longer, up or not. */
  back: Promise<void> = Promise.resolve();
  /** For how long each answer was waited for, and how long each time for the link. */
  readonly timeoutsMs: (number | undefined)[] = [];
  readonly waitsMs: number[] = [];
  answer: Script = () => ({});

  constructor(mediaNodeId: MediaNodeId) {
    this.mediaNodeId = mediaNodeId;
  }

  call<Name extends ControlRequestName>(
    name: Name,
    payload: ControlRequestInput<Name>,
    timeoutMs?: number,
  ): Promise<ControlReply<Name>> {
    if (!this.isUp) return Promise.reject(new PlenaryError('media_unavailable'));
    this.asked.push({ name, payload });
    this.timeoutsMs.push(timeoutMs);
    const emitWithAck = async (): Promise<unknown> => {
      try {
        return { ok: true, data: await this.answer(name, payload) };
      } catch (fault) {
        if (fault instanceof PlenaryError) return { ok: false, error: fault.toWire() };
        throw fault;
      }
    };
    return callFrom(
      { connected: true, timeout: () => ({ emitWithAck }) },
      CONTROL_REQUESTS,
      name,
      payload,
      1_000,
    );
  }

  /** What it was asked of a name. */
  payloads(name: ControlRequestName): unknown[] {
    return this.asked.filter((entry) => entry.name === name).map(({ payload }) => payload);
  }
}

export class ScriptedLinks implements MediaLinks {
  readonly #links = new Map<MediaNodeId, ScriptedLink>();

  add(name: string): ScriptedLink {
    const link = new ScriptedLink(mediaNode(name));
    this.#links.set(link.mediaNodeId, link);
    return link;
  }

  get(mediaNodeId: MediaNodeId): ScriptedLink | undefined {
    return this.#links.get(mediaNodeId);
  }

  async reach(mediaNodeId: MediaNodeId, withinMs: number): Promise<ScriptedLink> {
    const link = this.#links.get(mediaNodeId);
    if (link?.isUp === false) {
      link.waitsMs.push(withinMs);
      await link.back;
    }
    if (link?.isUp !== true) throw new PlenaryError('media_unavailable');
    return link;
  }

  lost(): MediaNodeId[] {
    return [...this.#links.values()].filter(({ isUp }) => !isUp).map(({ mediaNodeId }) => mediaNodeId);
  }
}

/** Remembers what edges were told. */
export class RecordingChannel implements RoomChannel {
  readonly told: EdgeMessage[] = [];
  readonly events: LoggedEvent[] = [];
  publishEvents(...[, events]: Parameters<RoomChannel['publishEvents']>): void {
    this.events.push(...events);
  }
  readonly published: unknown[] = [];
  publish(...news: Parameters<RoomChannel['publish']>): void {
    this.published.push(news[2]);
  }
  publishLocally(): void {
    // As above.
  }
  tellEdges(message: EdgeMessage): void {
    this.told.push(message);
  }
}

/** Remembers what a client was told. */
export class RecordingSocket implements ClientSocket {
  readonly id = 'socket';
  readonly address = '192.0.2.1';
  readonly told: EdgeNoticeName[] = [];
  isOpen(): boolean {
    return true;
  }
  notify(name: EdgeNoticeName): void {
    this.told.push(name);
  }
  enterRoom(): void {
    // Not looked at.
  }
  leaveRoom(): void {
    // As above.
  }
  bye(): void {
    // As above.
  }
  noteJoined(): void {
    // As above.
  }
  noteLeft(): void {
    // As above.
  }
  payFramesFrom(): void {
    // As above.
  }
}

export class EdgeParts<Changed extends Partial<RoomStores> = object> {
  readonly clock = new ManualClock();
  readonly memory: MemoryRooms;
  readonly stores: RoomStores & Changed;
  readonly links = new ScriptedLinks();
  readonly channel = new RecordingChannel();
  readonly localRooms = new LocalRooms();
  readonly metrics = createEdgeMetrics();
  readonly faults: unknown[] = [];
  /** Told when the registry was read. */
  onRead: () => void = () => undefined;

  /** @param changed - ports that behave otherwise than those in memory */
  constructor(changed?: (rooms: MemoryRooms) => Changed) {
    const stores = new MemoryRoomStores(this.clock);
    this.memory = stores.rooms;
    this.stores = Object.assign({ ...stores }, changed?.(stores.rooms));
  }

  get placements(): (RoomStores & Changed)['placements'] {
    return this.stores.placements;
  }

  get roomLog(): (RoomStores & Changed)['roomLog'] {
    return this.stores.roomLog;
  }

  get recovery(): (RoomStores & Changed)['recovery'] {
    return this.stores.recovery;
  }

  readonly reportFault = (_where: unknown, fault: unknown): void => {
    this.faults.push(fault);
  };

  readonly drops = new PeerDrops({ links: this.links, reportFault: this.reportFault });

  readonly entryReconciler = new EntryReconciler({
    entries: {
      republish: (...told) => this.stores.entries.republish(...told),
      list: (...of) => this.stores.entries.list(...of),
    },
    localRooms: this.localRooms,
    channel: this.channel,
    metrics: this.metrics,
  });

  readonly tenantClaims = new TenantClaims({
    tenants: new MemoryTenantStore(this.clock),
    limits: { byTenant: new Map(), others: { maxPeers: undefined, maxRooms: undefined } },
    localRooms: this.localRooms,
    isStoreAvailable: () => true,
    renewMs: 1_000,
    resumeWithinMs: 1_000,
    reportFault: this.reportFault,
  });

  departures(): Departures {
    const { placements, roomLog, drops, channel, metrics, reportFault, tenantClaims } = this;
    const isTakenUp = (placed: PlacedPeer): boolean => this.localRooms.serves(placed);
    return new Departures({
      placements,
      roomLog,
      drops,
      channel,
      isServedHere: isTakenUp,
      tenantClaims,
      metrics,
      reportFault,
    });
  }

  /** Places a peer, with a roster entry, and gives its placement. */
  async place(name: string, on: string, replacesEpoch?: Epoch, by = OWN_EDGE): Promise<Placement> {
    const peerId = peer(name);
    const placement = await this.placements.placePeer({
      roomId: ROOM,
      peerId,
      requestId: request(`join-${name}`),
      edgeId: by,
      mediaNodeId: mediaNode(on),
      maxPeers: 1_000,
      ...(replacesEpoch === undefined ? {} : { replacesEpoch }),
    });
    await this.roomLog.joinPeer(ROOM, { peerId, displayName: name, role: 'speaker' }, placement.epoch);
    return placement;
  }

  /** A session of a placed peer, held here. */
  hold(
    { peerId, mediaNodeId, epoch, holdEpoch, requestId }: Placement,
    socket?: ClientSocket,
    roomId = ROOM,
    role: Role = 'speaker',
  ): Session {
    const session = new Session(
      { roomId, peerId, displayName: peerId },
      {
        sub: peerId,
        tenant: tenantOf(roomId),
        room: roomNameOf(roomId),
        role,
        publish: ['microphone'],
      },
      { key: SAMPLE_SESSION_KEY, generation: 1 },
      { requestId, sequence: 1, joinedAtMs: 1, role },
      { mediaNodeId, epoch, holdEpoch, incarnation: undefined },
    );
    session.socket = socket;
    this.localRooms.add(session);
    return session;
  }
}

export const placedOf = ({ peerId, epoch }: Placement): PlacedPeer => ({ roomId: ROOM, peerId, epoch });
