import { homeOf } from '../room/track-cache.ts';
import {
  FIRST_LINES,
  leftOut,
  orderDatacenters,
  PlenaryError,
  RareLines,
  selectNode,
  toPlenaryError,
  inBackground,
} from '@plenary/cluster';
import type {
  Clock,
  Epoch,
  ErrorCode,
  Logger,
  MediaNodeRecord,
  NodeChoice,
  Placement,
  PlacementLimits,
  PlacementStore,
  RoomView,
  TrackHome,
} from '@plenary/cluster';
import type {
  DatacenterId,
  EdgeId,
  Incarnation,
  MediaNodeId,
  PeerId,
  RequestId,
  RoomId,
} from '@plenary/cluster/ids';
import { MAX_INITIAL_CONSUMERS } from '@plenary/cluster/protocol';
import type { MediaOffer, MediaRequest, RoundTrip } from '@plenary/cluster/protocol';
import type { Directory } from '../directory/directory.ts';
import type { AdmissionGates } from '../entry/gates/admission-gates.ts';
import type { Entrant, GatePlace } from '../entry/gates/entry-gate.ts';
import type { EdgeMetrics } from '../metrics.ts';
import type { MediaNodeLink, MediaLinks } from './control-links.ts';
import type { PeerDrops } from './peer-drops.ts';
import { SilentNodes } from './silent-nodes.ts';

const MAX_TRIES = 3;
/** A node that does not admit within this is taken to be gone, and another one is tried. */
const ADMIT_TIMEOUT_MS = 3_000;
/** How long a link is waited for that is just being opened, or has just broken. */
const LINK_WAIT_MS = 1_500;

/** Nodes that one line of the log names. */
const MAX_NAMED = 8;

/** Errors of an admission after which another node may do better. */
const TRY_ANOTHER: ReadonlySet<ErrorCode> = new Set([
  'media_unavailable',
  'timed_out',
  'no_media_node',
  'limit_reached',
  'shutting_down',
  'internal',
]);

export interface HostRequest {
  readonly roomId: RoomId;
  readonly peerId: PeerId;
  readonly requestId: RequestId;
  /** Whose places in the room a first placement counts among: see {@link digestOfSubject}. */
  readonly subject?: string;
  /** By which the media node knows the person again: see {@link digestOfPerson}. */
  readonly person?: string;
  /** Where the client comes from: see {@link networkOf}. */
  readonly network?: string;
  readonly media: MediaRequest;
  readonly view: RoomView;
  /** Where the token says that the person is. */
  readonly datacenter: DatacenterId | undefined;
  /** What the client measured. */
  readonly roundTrips: readonly RoundTrip[];
  /** The placement that is to be replaced; absent for a first one. */
  readonly replaces?: Epoch;
  /** The newest hold of the session, where there is one: who took it up since places the peer (SPEC SE28). */
  readonly knownHoldEpoch?: () => Epoch;
  /** Of a peer that moves: the epoch of the placement that goes on beside the new one. */
  readonly keeps?: Epoch;
  readonly exclude?: readonly MediaNodeId[];
  /** By the monotonic clock: when the answer must be out. */
  readonly deadlineMs: number;
  /** Whose turn it has to be at the media node, and the place that is given away meanwhile (SPEC BU2, BU14). */
  readonly entrant: Entrant;
  readonly place: GatePlace;
  /** Told of each placement at once: one that no node admits has to be removed as well. */
  readonly onPlaced?: (placement: Placement) => void;
  /** Run beside each admission, so that it costs no round trip of its own. */
  readonly beside?: (placement: Placement) => Promise<void>;
}

export interface Hosted {
  readonly placement: Placement;
  readonly incarnation: Incarnation | undefined;
  readonly offer: MediaOffer;
}

export interface PlacerSettings {
  readonly edgeId: EdgeId;
  readonly datacenter: DatacenterId;
  /** Where to look when neither token nor client say more. */
  readonly datacenterOrder: readonly DatacenterId[];
  readonly placements: Pick<PlacementStore, 'placePeer'>;
  readonly directory: Directory;
  readonly links: MediaLinks;
  readonly admissions: AdmissionGates;
  readonly limits: PlacementLimits;
  readonly maxPeersPerRoom: number;
  readonly maxPeersPerPerson: number;
  readonly drops: Pick<PeerDrops, 'drop'>;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: EdgeMetrics;
}

/** Finds a media node for a peer and has it admitted there, with another node for each that fails (SPEC SE11). */
export class Placer {
  readonly #settings: PlacerSettings;
  readonly #silent: SilentNodes;
  readonly #lines: RareLines;

  constructor(settings: PlacerSettings) {
    this.#settings = settings;
    this.#silent = new SilentNodes(settings.clock);
    this.#lines = new RareLines(settings.clock, FIRST_LINES);
  }

  /** Says what its log left out so far. */
  close(): void {
    this.#lines.close();
  }

  /**
   * @throws PlenaryError `no_media_node`, `room_full`, `joined_too_often`, `store_unavailable`; `stale_epoch` when `keeps` is not live, or another
   *   edge holds the session; `peer_not_found` when `replaces` is given and the peer is gone; the last node's error when none of
   *   several admitted the peer; what `beside` throws
   */
  async host(request: HostRequest): Promise<Hosted> {
    const excluded = new Set(request.exclude ?? []);
    let replaces = request.replaces;
    let lastFault = new PlenaryError('no_media_node');
    for (let attempt = 1; attempt <= MAX_TRIES && this.#remainingMs(request) > 0; attempt += 1) {
      const placement = await request.place.whileSlow(async () => {
        const placed = await this.#place(request, excluded, replaces);
        // At once: there may be no turn any more to go on in.
        request.onPlaced?.(placed);
        return placed;
      });
      try {
        return await this.#admit(request, placement, excluded);
      } catch (thrown) {
        if (!(thrown instanceof AdmissionFailed)) throw thrown;
        lastFault = thrown.fault;
        const { code } = lastFault;
        const { mediaNodeId } = placement;
        this.#lines.say(
          code,
          (...unsaid) => {
            this.#settings.logger.warn(
              { mediaNodeId, code, attempt, ...leftOut(...unsaid) },
              'media node did not admit a peer; trying another one',
            );
          },
          mediaNodeId,
        );
        if (lastFault.code === 'stale_epoch' || lastFault.code === 'media_lost') {
          // Somebody placed the peer anew meanwhile, and that placement is the one to use; or nobody did, and the node was
          // told to drop this one, so that it has to be replaced. Or a worker ended in the middle: the node has others.
          replaces = placement.epoch;
          continue;
        }
        if (!TRY_ANOTHER.has(lastFault.code)) throw lastFault;
        excluded.add(placement.mediaNodeId);
        replaces = placement.epoch;
        // The node may have admitted the peer and only its answer was lost.
        inBackground(() =>
          this.#settings.drops.drop(placement.mediaNodeId, {
            roomId: request.roomId,
            peerId: request.peerId,
            epoch: placement.epoch,
          }),
        );
      }
    }
    throw lastFault;
  }

  async #place(
    request: HostRequest,
    excluded: ReadonlySet<MediaNodeId>,
    replaces: Epoch | undefined,
  ): Promise<Placement> {
    const { placements, edgeId, directory, maxPeersPerRoom, maxPeersPerPerson } = this.#settings;
    const { subject } = request;
    const mediaNodeId = await this.#choose(request, excluded);
    const first = {
      roomId: request.roomId,
      peerId: request.peerId,
      requestId: request.requestId,
      edgeId,
      mediaNodeId,
      maxPeers: maxPeersPerRoom,
      ...(subject === undefined ? {} : { subject: { digest: subject, maxPeers: maxPeersPerPerson } }),
      ...(request.keeps === undefined ? {} : { keepsEpoch: request.keeps }),
    };
    const held = request.knownHoldEpoch === undefined ? {} : { knownHoldEpoch: request.knownHoldEpoch() };
    const placing =
      replaces === undefined
        ? placements.placePeer(first)
        : placements.placePeer({ ...first, replacesEpoch: replaces, ...held }).catch((fault: unknown) => {
            // What this very join placed was removed meanwhile, by the end of an earlier try of it.
            if (request.replaces !== undefined || toPlenaryError(fault).code !== 'peer_not_found')
              throw fault;
            return placements.placePeer(first);
          });
    const placement = await placing;
    // To admit it all the same would make the node tell this edge of the peer, and not the one that holds it.
    if (request.knownHoldEpoch !== undefined && placement.edgeId !== edgeId)
      throw new PlenaryError('stale_epoch', 'Another edge holds the session.');
    directory.notePlacement(placement.mediaNodeId);
    return placement;
  }

  async #choose(request: HostRequest, excluded: ReadonlySet<MediaNodeId>): Promise<MediaNodeId> {
    const { directory, links, logger } = this.#settings;
    let choice = this.#countedChoice(request, excluded, false);
    if (choice.mediaNodeId === null) {
      // A node may have been announced within the last second, also one that counted as lost (SPEC CL30).
      await directory.refresh();
      choice = this.#countedChoice(request, excluded, true);
    }
    const { mediaNodeId, reason } = choice;
    if (mediaNodeId !== null) {
      this.#silent.sent(mediaNodeId);
      return mediaNodeId;
    }
    const away = { excluded: [...excluded], linksDown: links.lost(LINK_WAIT_MS).slice(0, MAX_NAMED) };
    this.#lines.say(reason, (...unsaid) => {
      logger.warn({ reason, ...away, ...leftOut(...unsaid) }, 'no media node can take a peer; join refused');
    });
    throw new PlenaryError('no_media_node');
  }

  #countedChoice(request: HostRequest, excluded: ReadonlySet<MediaNodeId>, isLastTry: boolean): NodeChoice {
    const choice = this.#bestChoice(request, excluded, isLastTry);
    this.#settings.metrics.placements.inc({ reason: choice.reason });
    this.#settings.logger.debug({ ...choice, roomId: request.roomId }, 'placement');
    return choice;
  }

  #bestChoice(request: HostRequest, excluded: ReadonlySet<MediaNodeId>, isLastTry: boolean): NodeChoice {
    const withoutSilent = this.#selectAnswering(request, excluded);
    if (withoutSilent.mediaNodeId !== null) return withoutSilent;
    const announced = this.#select(request, excluded);
    if (announced.mediaNodeId !== null || !isLastTry) return announced;
    const { directory, links } = this.#settings;
    const lapsed = this.#select(request, excluded, lapsedButLinked(directory, links));
    return lapsed.mediaNodeId === null ? announced : lapsed;
  }

  /** The best node among those that let no admission time out lately. */
  #selectAnswering(request: HostRequest, excluded: ReadonlySet<MediaNodeId>): NodeChoice {
    return this.#select(request, new Set([...excluded, ...this.#silent.rested]));
  }

  #select(
    request: HostRequest,
    excluded: ReadonlySet<MediaNodeId>,
    nodes: readonly MediaNodeRecord[] = this.#settings.directory.mediaNodes,
  ): NodeChoice {
    const { directory, links } = this.#settings;
    const datacenters = orderDatacenters({
      hint: request.datacenter,
      roundTrips: request.roundTrips,
      own: this.#settings.datacenter,
      configured: this.#settings.datacenterOrder,
    });
    return selectNode({
      nodes,
      room: request.view.occupancy,
      datacenters,
      // A datacenter that is lost is announced until its leases lapse: its nodes would take all the tries.
      exclude: new Set([...excluded, ...links.lost(LINK_WAIT_MS)]),
      inFlight: directory.inFlight(),
      joins: directory.joins(),
      limits: this.#settings.limits,
      random: Math.random,
    });
  }

  async #admit(
    request: HostRequest,
    placement: Placement,
    excluded: ReadonlySet<MediaNodeId>,
  ): Promise<Hosted> {
    const { roomId, peerId, network, person, entrant, place } = request;
    const { mediaNodeId, epoch } = placement;
    const { admissions, links, clock } = this.#settings;
    const admission = async (link: MediaNodeLink): Promise<Hosted> => {
      const timeoutMs = Math.min(ADMIT_TIMEOUT_MS, this.#remainingMs(request));
      if (timeoutMs === 0) throw new PlenaryError('timed_out');
      // Who moves has the tracks already, and asks for them anew when its receivers stand.
      const tracks = request.keeps === undefined ? initialTracks(request.view, peerId) : [];
      const admitting = link.call(
        'peer.admit',
        {
          roomId,
          peerId,
          epoch,
          media: request.media,
          tracks,
          ...(network === undefined ? {} : { network }),
          ...(person === undefined ? {} : { person }),
        },
        timeoutMs,
      );
      const reply = await this.#noted(link, timeoutMs, admitting);
      const offer: MediaOffer = {
        mediaNodeId,
        datacenter: this.#datacenterOfNode(mediaNodeId),
        epoch,
        receiveTransport: reply.receiveTransport,
        consumers: reply.consumers.slice(0, MAX_INITIAL_CONSUMERS),
        ...(reply.sendTransport === undefined ? {} : { sendTransport: reply.sendTransport }),
      };
      return { placement, incarnation: link.incarnation, offer };
    };
    const sentAtMs = clock.monotonicMs();
    const inTurn = async () => {
      const link = await links.reach(mediaNodeId, Math.min(LINK_WAIT_MS, this.#remainingMs(request)));
      return admissions.pass(mediaNodeId, entrant, async () => {
        // Somebody who came before waited in vain: those behind go elsewhere at once, where another node can take them.
        if (
          this.#silent.isSilentSince(mediaNodeId, sentAtMs) &&
          this.#selectAnswering(request, new Set([...excluded, mediaNodeId])).mediaNodeId !== null
        )
          throw new PlenaryError('media_unavailable');
        // Both are waited for, whatever becomes of the other: a failure must not leave the other running unwatched.
        return Promise.allSettled([admission(link), request.beside?.(placement)]);
      });
    };
    const [turn] = await place.whileWaiting(async () => Promise.allSettled([inTurn()]));
    if (turn.status === 'rejected') throw new AdmissionFailed(toPlenaryError(turn.reason));
    const [admitted, beside] = turn.value;
    if (beside.status === 'rejected') throw beside.reason;
    if (admitted.status === 'rejected') throw new AdmissionFailed(toPlenaryError(admitted.reason));
    return admitted.value;
  }

  /** Notes whether a node answers. Where it had less than its time, or the link broke meanwhile, that cannot be told. */
  async #noted<Reply>(link: MediaNodeLink, timeoutMs: number, admitting: Promise<Reply>): Promise<Reply> {
    const { mediaNodeId } = link;
    try {
      const reply = await admitting;
      this.#silent.answered(mediaNodeId);
      return reply;
    } catch (thrown) {
      if (toPlenaryError(thrown).code !== 'timed_out') this.#silent.answered(mediaNodeId);
      else if (link.isUp && timeoutMs === ADMIT_TIMEOUT_MS) this.#silent.timedOut(mediaNodeId);
      throw thrown;
    }
  }

  #datacenterOfNode(mediaNodeId: MediaNodeId): DatacenterId {
    const { mediaNodes, lapsedNodes } = this.#settings.directory;
    const node = [...mediaNodes, ...lapsedNodes].find((record) => record.mediaNodeId === mediaNodeId);
    return node?.datacenter ?? this.#settings.datacenter;
  }

  #remainingMs(request: HostRequest): number {
    return Math.max(0, request.deadlineMs - this.#settings.clock.monotonicMs());
  }
}

/** Nodes whose entries in the registry lapsed a moment ago, but which are there: their links are up (SPEC PL15). */
export function lapsedButLinked(
  directory: Pick<Directory, 'lapsedNodes'>,
  links: Pick<MediaLinks, 'get'>,
): readonly MediaNodeRecord[] {
  return directory.lapsedNodes.filter(({ mediaNodeId }) => links.get(mediaNodeId)?.isUp === true);
}

/** Keeps a node's refusal apart from other errors. */
class AdmissionFailed extends Error {
  readonly fault: PlenaryError;

  constructor(fault: PlenaryError) {
    super(fault.message, { cause: fault });
    this.fault = fault;
  }
}

/** What a joiner hears and sees at once: all audio first, since a missing voice is worse than a missing picture. */
export function initialTracks(view: RoomView, selfId: PeerId): TrackHome[] {
  const others = view.tracks.filter((track) => track.peerId !== selfId);
  const inOrder = [
    ...others.filter((track) => track.kind === 'audio'),
    ...others.filter((track) => track.kind === 'video'),
  ];
  return inOrder.slice(0, MAX_INITIAL_CONSUMERS).map(homeOf);
}
