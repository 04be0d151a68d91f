import { inBackground } from '@plenary/cluster';
import type { Clock, Logger, MediaNodeRecord, RoomStores } from '@plenary/cluster';
import type { EdgeConfig } from '../config.ts';
import type { Directory } from '../directory/directory.ts';
import { AdmissionGates } from '../entry/gates/admission-gates.ts';
import { ENTRY_PATIENCE_MS } from '../entry/gates/entry-gate.ts';
import type { EdgeMetrics, ReportFault } from '../metrics.ts';
import type { LocalRooms } from '../room/local-rooms.ts';
import type { RoomChannel } from '../transport/client-socket.ts';
import type { ControlLinkListener } from './control-link.ts';
import type { LinkTrouble } from './link-trouble.ts';
import type { MediaLinks } from './control-links.ts';
import { Evacuation } from './evacuation.ts';
import { MediaWatch } from './media-watch.ts';
import { MoveReminder } from './move-reminder.ts';
import { PeerDrops } from './peer-drops.ts';
import { Placer } from './placer.ts';

/** The load above which a node takes no more peers: latency rises steeply from here. */
const MAX_NODE_LOAD = 0.7;
/** Admissions that are requested from one media node at a time: it makes one mediasoup call after the other. */
const ADMISSIONS_AT_ONCE = 32;

/** The links to the media nodes, with the methods for their owner only. */
export interface OwnedMediaLinks extends MediaLinks {
  /** Calls the listener whenever a link comes up. */
  onLinkUp(listener: (mediaNodeId: MediaNodeRecord['mediaNodeId']) => void): void;
  /** Opens and closes links to match the announced nodes; to be called after each read of the registry. */
  reconcile(nodes: readonly MediaNodeRecord[]): void;
  /** Whether any link is or was up. */
  wasUsable(): boolean;
  /** How far the clock of this edge is ahead of each media node's, in milliseconds; only nodes that sent their time. */
  clockOffsetsMs(): readonly number[];
  /** Why each link of this edge is unusable; `undefined` if one is usable, or if no media node is known. */
  unusable(): readonly LinkTrouble[] | undefined;
  closeAll(): void;
}

export interface MediaAssemblySettings {
  readonly config: Pick<
    EdgeConfig,
    | 'edgeId'
    | 'datacenter'
    | 'datacenterOrder'
    | 'leaseMs'
    | 'packingLimit'
    | 'roomPeersPerNode'
    | 'joinsPerNode'
    | 'maxPeersPerRoom'
    | 'peersPerPerson'
  >;
  readonly stores: Pick<RoomStores, 'placements' | 'roomLog'>;
  /** Opens the links; `isAnnounced` reads the registry and resolves to whether it announces a node. */
  readonly openLinks: (
    listener: ControlLinkListener,
    isAnnounced: (mediaNodeId: MediaNodeRecord['mediaNodeId']) => Promise<boolean>,
  ) => OwnedMediaLinks;
  readonly directory: Directory;
  readonly localRooms: LocalRooms;
  readonly channel: RoomChannel;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: EdgeMetrics;
  readonly reportFault: ReportFault;
}

/**
 * The media part of an edge: links to media nodes, notices from nodes to clients (watch), the choice of a node for a peer
 * (placer), freed transports (drops), and moves off nodes that drain or are cut off.
 */
export class MediaAssembly {
  readonly watch: MediaWatch;
  readonly links: OwnedMediaLinks;
  readonly drops: PeerDrops;
  readonly admissions: AdmissionGates;
  readonly placer: Placer;
  readonly #moveReminder: MoveReminder;

  constructor(settings: MediaAssemblySettings) {
    const { config, stores, directory, localRooms, channel, clock, logger, metrics, reportFault } = settings;
    const { placements, roomLog } = stores;
    this.watch = new MediaWatch({
      placements,
      roomLog,
      localRooms,
      directory,
      channel,
      metrics,
      reportFault,
    });
    const links = settings.openLinks(this.watch, async (mediaNodeId) =>
      directory.isAnnouncedNow(mediaNodeId),
    );
    this.links = links;
    const drops = new PeerDrops({ links, reportFault });
    this.drops = drops;
    links.onLinkUp((mediaNodeId) => inBackground(() => drops.retry(mediaNodeId)));
    this.admissions = new AdmissionGates({
      atOnce: ADMISSIONS_AT_ONCE,
      patienceMs: ENTRY_PATIENCE_MS,
      clock,
      onWaiting: (count) => metrics.waitingEntries.set({ kind: 'admission' }, count),
    });
    this.placer = new Placer({
      edgeId: config.edgeId,
      datacenter: config.datacenter,
      datacenterOrder: config.datacenterOrder,
      placements,
      directory,
      links,
      admissions: this.admissions,
      limits: {
        packingLimit: config.packingLimit,
        maxRoomPeersPerNode: config.roomPeersPerNode,
        maxJoinsPerNode: config.joinsPerNode,
        maxLoad: MAX_NODE_LOAD,
      },
      maxPeersPerRoom: config.maxPeersPerRoom,
      maxPeersPerPerson: config.peersPerPerson,
      drops,
      clock,
      logger,
      metrics,
    });
    this.#moveReminder = new MoveReminder(localRooms);
    const evacuation = new Evacuation({ localRooms, directory, links, leaseMs: config.leaseMs, clock });
    directory.onRead((nodes) => {
      links.reconcile(nodes);
      evacuation.check();
    });
  }

  start(): void {
    this.#moveReminder.start();
  }

  /** Stops requesting moves, because this edge is about to stop. */
  retire(): void {
    this.#moveReminder.stop();
  }

  stop(): void {
    this.drops.stop();
    this.watch.stop();
    this.links.closeAll();
    this.placer.close();
  }
}
