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
/** How long a node may take to admit a peer before another node is tried, in milliseconds. */
const ADMIT_TIMEOUT_MS = 3_000;
/** How long an admission waits for a link that is being opened or has just broken, in milliseconds. */
const LINK_WAIT_MS = 1_500;

/** Nodes that one line of the log names. */
const MAX_NAMED = 8;

/** Errors of an admission after which another node may succeed. */
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
  /** The person whose peers in the room are limited; counts at a first placement: see {@link digestOfSubject}. */
  readonly subject?: string;
  /** The digest by which the media node recognizes the person: see {@link digestOfPerson}. */
  readonly person?: string;
  /** The digest of the client's network: see {@link networkOf}. */
  readonly network?: string;
  readonly media: MediaRequest;
  readonly view: RoomView;
  /** The datacenter that the token names. */
  readonly datacenter: DatacenterId | undefined;
  /** The round trips that the client measured. */
  readonly roundTrips: readonly RoundTrip[];
  /** The epoch of the placement to replace; absent for a first placement. */
  readonly replaces?: Epoch;
  /** The newest hold of the session, if there is one: an edge that resumed it since then places the peer instead (SPEC SE28). */
  readonly knownHoldEpoch?: () => Epoch;
  /** For a peer that moves: the epoch of the placement that continues beside the new one. */
  readonly keeps?: Epoch;
  readonly exclude?: readonly MediaNodeId[];
  /** The time on the monotonic clock by which the answer must be sent. */
  readonly deadlineMs: number;
  /** The entrant that waits for a turn at the media node, and its place at the gate, which is free meanwhile (SPEC BU2, BU14). */
  readonly entrant: Entrant;
  readonly place: GatePlace;
  /** Called with each placement at once, because a placement that no node admits has to be removed as well. */
  readonly onPlaced?: (placement: Placement) => void;
  /** Runs beside each admission, so that it costs no extra round trip. */
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
  /** The order of datacenters if neither the token nor the client names one. */
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

/** Chooses a media node for a peer and has the peer admitted there; tries another node after a failure (SPEC SE11). */
export class Placer {
  readonly #settings: PlacerSettings;
  readonly #silent: SilentNodes;
  readonly #lines: RareLines;

  constructor(settings: PlacerSettings) {
    this.#settings = settings;
    this.#silent = new SilentNodes(settings.clock);
    this.#lines = new RareLines(settings.clock, FIRST_LINES);
  }

  /** Logs how many lines were omitted so far. */
  close(): void {
    this.#lines.close();
  }

  /**
   * @throws PlenaryError `no_media_node`, `room_full`, `joined_too_often`, `store_unavailable`; `stale_epoch` if `keeps` is not live, or another
   *   edge holds the session; `peer_not_found` if `replaces` is given and the peer is gone; the last node's error if no node
   *   admitted the peer; any error of `beside`
   */
  async host(request: HostRequest): Promise<Hosted> {
    const excluded = new Set(request.exclude ?? []);
    let replaces = request.replaces;
    let lastFault = new PlenaryError('no_media_node');
    for (let attempt = 1; attempt <= MAX_TRIES && this.#remainingMs(request) > 0; attempt += 1) {
      const placement = await request.place.whileSlow(async () => {
        const placed = await this.#place(request, excluded, replaces);
        // Called at once: the entry may get no further turn.
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
          // `stale_epoch`: another request placed the peer meanwhile, and `#place` returns that placement; or the node dropped
          // this placement on request, so it must be replaced. `media_lost`: a worker ended, and the node has others.
          replaces = placement.epoch;
          continue;
        }
        if (!TRY_ANOTHER.has(lastFault.code)) throw lastFault;
        excluded.add(placement.mediaNodeId);
        replaces = placement.epoch;
        // The node may have admitted the peer, and only its answer was lost.
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
            // The end of an earlier try of this join removed its placement meanwhile.
            if (request.replaces !== undefined || toPlenaryError(fault).code !== 'peer_not_found')
              throw fault;
            return placements.placePeer(first);
          });
    const placement = await placing;
    // After an admission the node would send the peer's notices to this edge, and not to the one that holds the session.
    if (request.knownHoldEpoch !== undefined && placement.edgeId !== edgeId)
      throw new PlenaryError('stale_epoch', 'Another edge holds the session.');
    directory.notePlacement(placement.mediaNodeId);
    return placement;
  }

  async #choose(request: HostRequest, excluded: ReadonlySet<MediaNodeId>): Promise<MediaNodeId> {
    const { directory, links, logger } = this.#settings;
    let choice = this.#countedChoice(request, excluded, false);
    if (choice.mediaNodeId === null) {
      // A node may have been announced within the last second, even one that counted as lost (SPEC CL30).
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

  /** The best node among those at which no admission timed out lately. */
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
      // The nodes of a lost datacenter stay announced until their leases lapse, and would use up all tries.
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
      // A peer that moves has the tracks already, and subscribes to them again once its new transports are ready.
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
      const reply = await this.#noteWhetherAnswered(link, timeoutMs, admitting);
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
        // An admission ahead in the queue timed out: this peer tries another node at once, if one can take it.
        if (
          this.#silent.isSilentSince(mediaNodeId, sentAtMs) &&
          this.#selectAnswering(request, new Set([...excluded, mediaNodeId])).mediaNodeId !== null
        )
          throw new PlenaryError('media_unavailable');
        // Waits for both, so that a failure of one does not leave the other running unobserved.
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

  /** Notes whether a node answers. A shortened timeout, or a link that broke meanwhile, proves nothing about the node. */
  async #noteWhetherAnswered<Reply>(
    link: MediaNodeLink,
    timeoutMs: number,
    admitting: Promise<Reply>,
  ): Promise<Reply> {
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

/** Nodes whose entries in the registry lapsed a moment ago, but which still run: their links are up (SPEC PL15). */
export function lapsedButLinked(
  directory: Pick<Directory, 'lapsedNodes'>,
  links: Pick<MediaLinks, 'get'>,
): readonly MediaNodeRecord[] {
  return directory.lapsedNodes.filter(({ mediaNodeId }) => links.get(mediaNodeId)?.isUp === true);
}

/** Distinguishes a failed admission from other errors. */
class AdmissionFailed extends Error {
  readonly fault: PlenaryError;

  constructor(fault: PlenaryError) {
    super(fault.message, { cause: fault });
    this.fault = fault;
  }
}

/** The tracks that a joining peer receives at once: all audio first, since a missing voice is worse than a missing picture. */
export function initialTracks(view: RoomView, selfId: PeerId): TrackHome[] {
  const others = view.tracks.filter((track) => track.peerId !== selfId);
  const inOrder = [
    ...others.filter((track) => track.kind === 'audio'),
    ...others.filter((track) => track.kind === 'video'),
  ];
  return inOrder.slice(0, MAX_INITIAL_CONSUMERS).map(homeOf);
}
