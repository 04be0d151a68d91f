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

/** From here on latency falls off a cliff. */
const MAX_NODE_LOAD = 0.7;
/** Admissions that one media node is asked for at a time: it does one call of mediasoup after the other. */
const ADMISSIONS_AT_ONCE = 32;

/** The links to the media nodes, with what their owner does with them. */
export interface OwnedMediaLinks extends MediaLinks {
  /** Calls back whenever a link is up. */
  onLinkUp(listener: (mediaNodeId: MediaNodeRecord['mediaNodeId']) => void): void;
  /** Told of the nodes that live, after each reading of the registry. */
  reconcile(nodes: readonly MediaNodeRecord[]): void;
  /** Whether any link is up, or was. */
  wasUsable(): boolean;
  /** How far this clock is before those of the media nodes that say theirs, in milliseconds. */
  clockOffsetsMs(): readonly number[];
  /** Why this edge can use no media node at all, by its links; `undefined` where it can, or knows none. */
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
  readonly openLinks: (listener: ControlLinkListener) => OwnedMediaLinks;
  readonly directory: Directory;
  readonly localRooms: LocalRooms;
  readonly channel: RoomChannel;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: EdgeMetrics;
  readonly reportFault: ReportFault;
}

/**
 * What an edge has to do with media nodes: the links to them, what clients are told by them (watch), which of them a peer is
 * placed on (placer), what is freed there (drops), and moves off nodes that will go or are cut off.
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
    const links = settings.openLinks(this.watch);
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

  /** Asks nobody to move any more: this edge is about to stop. */
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
