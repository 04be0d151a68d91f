import { PlenaryError } from '../../errors.ts';
import type { Registry } from '../../registry/registry.ts';
import type { GatewayStore } from '../../room/gateway-store.ts';
import type { PlacementStore } from '../../room/placement-store.ts';
import type { RecoveryStore } from '../../room/recovery-store.ts';
import type { RoomEntries } from '../../room/room-entries.ts';
import type { RoomLog } from '../../room/room-log.ts';
import type { RoomStores } from '../../room/room-stores.ts';
import type { TenantStore } from '../../tenant/tenant-store.ts';
import { describe } from './calls.ts';
import type { StoreWatch } from './store-watch.ts';
import type { Label, Life } from './virtual-time.ts';
import type { Net } from './wire.ts';

/** A command that is not answered is given up after this time, as the Redis version does, in milliseconds. */
const COMMAND_TIMEOUT_MS = 2_000;

/** The store as its connections see it. */
export interface ServedStore {
  readonly isUp: boolean;
  readonly stores: RoomStores;
  readonly registry: Registry;
  readonly tenants: TenantStore;
  readonly watch: StoreWatch;
}

/** One process' connection to the store, with the ports of the product. */
export class SimulatedStoreClient implements RoomStores {
  readonly placements: PlacementStore;
  readonly roomLog: RoomLog;
  readonly recovery: RecoveryStore;
  readonly gateways: GatewayStore;
  readonly entries: RoomEntries;
  readonly registry: Registry;
  readonly tenants: TenantStore;
  readonly consul = undefined;
  readonly #net: Net;
  readonly #server: ServedStore;
  readonly #life: Life;
  readonly #listeners = new Set<(available: boolean) => void>();
  /** Commands of one connection are carried out, and answered, in their order. */
  #lastThereMs = 0;
  #lastBackMs = 0;
  #available: boolean;
  #isCutOff = false;

  constructor(net: Net, server: ServedStore, life: Life) {
    this.#net = net;
    this.#server = server;
    this.#life = life;
    this.#available = server.isUp;
    this.placements = this.#placementsPort();
    this.roomLog = this.#roomLogPort();
    this.recovery = this.#recoveryPort();
    this.gateways = this.#gatewaysPort();
    this.entries = this.#entriesPort();
    this.registry = this.#registry();
    const { tenants } = server;
    this.tenants = {
      claim: (...what) => this.#ask(() => tenants.claim(...what)),
      renew: (...what) => this.#ask(() => tenants.renew(...what)),
      release: (...what) => this.#ask(() => tenants.release(...what)),
      revoke: (...what) => this.#ask(() => tenants.revoke(...what)),
      isRevoked: (...what) => this.#ask(() => tenants.isRevoked(...what)),
      isEnded: (...what) => this.#ask(() => tenants.isEnded(...what)),
    };
  }

  readonly isAvailable = (): boolean => this.#available;

  readonly onAvailability = (listener: (available: boolean) => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  /** This process alone does not reach the store, or does again. */
  cutOff(isCutOff: boolean): void {
    this.#isCutOff = isCutOff;
    this.serverChanged();
  }

  /** The process notices that the store went or came, some time after it did. */
  serverChanged(): void {
    this.#net.time.schedule(this.#net.random.between(1, 300), this.#life, undefined, () => {
      const available = this.#reaches();
      if (this.#available === available) return;
      this.#available = available;
      for (const listener of [...this.#listeners]) listener(available);
    });
  }

  #reaches(): boolean {
    return this.#server.isUp && !this.#isCutOff;
  }

  /**
   * Carries a command to the store and its answer back. Either may be lost: then nobody knows whether it was carried out.
   * @throws PlenaryError `store_unavailable` after {@link COMMAND_TIMEOUT_MS}
   */
  #ask<Result>(command: () => Promise<Result>, told?: Label): Promise<Result> {
    const { time, random, weather } = this.#net;
    if (!this.#available) return Promise.reject(new PlenaryError('store_unavailable'));
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        reject(new PlenaryError('store_unavailable', 'No answer in time.'));
      }, COMMAND_TIMEOUT_MS);
      const answer = (act: () => void): void => {
        if (random.chance(weather.storeLoss) || !this.#reaches()) return;
        const backMs = Math.max(this.#lastBackMs, time.nowMs + random.between(0, 4));
        this.#lastBackMs = backMs;
        time.schedule(backMs - time.nowMs, this.#life, undefined, () => {
          clearTimeout(timer);
          act();
        });
      };
      if (random.chance(weather.storeLoss)) return;
      const heldUpMs = random.chance(weather.stall) ? random.between(100, 1_500) : 0;
      const thereMs = Math.max(this.#lastThereMs, time.nowMs + random.between(0, 4) + heldUpMs);
      this.#lastThereMs = thereMs;
      // Carried out also when the process that asked is dead by then.
      const label = told === undefined ? undefined : (): string => `${this.#life.name} → store ${told()}`;
      time.schedule(thereMs - time.nowMs, undefined, label, () => {
        if (!this.#reaches()) return;
        command().then(
          (result) => {
            answer(() => {
              resolve(result);
            });
          },
          (fault: unknown) => {
            answer(() => {
              reject(fault instanceof Error ? fault : new PlenaryError('internal'));
            });
          },
        );
      });
    });
  }

  /** A change of a room, held to the rules as it is answered. @param watch - told of the answer at that moment */
  #change<Result>(
    told: Label,
    command: () => Promise<Result>,
    watch: (result: Result) => void | Promise<void>,
  ): Promise<Result> {
    return this.#ask(async () => {
      const result = await command();
      await watch(result);
      return result;
    }, told);
  }

  #placementsPort(): PlacementStore {
    const { placements } = this.#server.stores;
    const { watch } = this.#server;
    return {
      view: (...of) => this.#ask(() => placements.view(...of)),
      placePeer: (request) =>
        this.#change(
          () => `placePeer ${describe(request)}`,
          () => placements.placePeer(request),
          (placement) => {
            watch.placed(request, placement);
          },
        ),
      placementOf: (...of) => this.#ask(() => placements.placementOf(...of)),
      previousPlacement: (...of) => this.#ask(() => placements.previousPlacement(...of)),
      completeMove: (roomId, peerId, epoch) =>
        this.#change(
          () => `completeMove ${roomId} ${peerId} ${epoch}`,
          () => placements.completeMove(roomId, peerId, epoch),
          () => watch.settled(roomId, peerId, epoch),
        ),
      attachPeer: (roomId, peerId, epoch, edgeId, ...by) =>
        this.#change(
          () => `attachPeer ${roomId} ${peerId} ${epoch} ${edgeId}`,
          () => placements.attachPeer(roomId, peerId, epoch, edgeId, ...by),
          () => {
            watch.obeyed(roomId, peerId, epoch, 'attachPeer');
            watch.attached(roomId, peerId, edgeId);
          },
        ),
      confirmToken: (...of) => this.#ask(() => placements.confirmToken(...of)),
      all: (...of) => this.#ask(() => placements.all(...of)),
    };
  }

  #roomLogPort(): RoomLog {
    const { roomLog } = this.#server.stores;
    const { watch } = this.#server;
    return {
      joinPeer: (roomId, peer, epoch) =>
        this.#change(
          () => `joinPeer ${roomId} ${peer.peerId} ${epoch}`,
          () => roomLog.joinPeer(roomId, peer, epoch),
          ({ events }) => {
            watch.obeyed(roomId, peer.peerId, epoch, 'joinPeer');
            watch.logged(roomId, events);
          },
        ),
      removePeer: (roomId, peerId, epoch, ...how) =>
        this.#change(
          () => `removePeer ${roomId} ${peerId} ${epoch} ${how.join(' ')}`,
          () => roomLog.removePeer(roomId, peerId, epoch, ...how),
          (events) => {
            watch.logged(roomId, events);
            return watch.removed(roomId, peerId, epoch);
          },
        ),
      publishTrack: (roomId, track) =>
        this.#change(
          () => `publishTrack ${roomId} ${describe(track)}`,
          () => roomLog.publishTrack(roomId, track),
          (events) => {
            watch.obeyed(roomId, track.peerId, track.epoch, 'publishTrack');
            watch.logged(roomId, events);
          },
        ),
      setTrackPaused: (roomId, trackId, paused) =>
        this.#change(
          () => `setTrackPaused ${roomId} ${trackId} ${paused}`,
          () => roomLog.setTrackPaused(roomId, trackId, paused),
          (events) => {
            watch.logged(roomId, events);
          },
        ),
      endTracks: (roomId, trackIds, reason) =>
        this.#change(
          () => `endTracks ${roomId} ${trackIds.join(',')} ${reason}`,
          () => roomLog.endTracks(roomId, trackIds, reason),
          (events) => {
            watch.logged(roomId, events);
          },
        ),
      tracks: (...which) => this.#ask(() => roomLog.tracks(...which)),
      postChat: (post) =>
        this.#change(
          () => `postChat ${describe(post)}`,
          () => roomLog.postChat(post),
          ({ events }) => {
            watch.logged(post.roomId, events);
          },
        ),
      rosterPage: (...which) => this.#ask(() => roomLog.rosterPage(...which)),
      eventsAfter: (...of) => this.#ask(() => roomLog.eventsAfter(...of)),
      snapshot: (...of) => this.#ask(() => roomLog.snapshot(...of)),
      lastEventId: (...of) => this.#ask(() => roomLog.lastEventId(...of)),
    };
  }

  #recoveryPort(): RecoveryStore {
    const { recovery } = this.#server.stores;
    const { watch } = this.#server;
    return {
      republishPeers: (roomId, ...what) =>
        this.#ask(async () => {
          const republished = await recovery.republishPeers(roomId, ...what);
          if (republished.lostPeers > 0 || republished.hasLostEvents) await watch.repaired(roomId);
          else await watch.republished(roomId);
          return republished;
        }),
      republishTracks: (roomId, ...what) =>
        this.#ask(async () => {
          const republished = await recovery.republishTracks(roomId, ...what);
          watch.logged(roomId, republished.events);
          if (republished.lostTracks > 0) await watch.repaired(roomId);
          return republished;
        }),
      standing: (...of) => this.#ask(() => recovery.standing(...of)),
    };
  }

  #gatewaysPort(): GatewayStore {
    const { gateways } = this.#server.stores;
    const { watch } = this.#server;
    return {
      claimGateway: (claim) =>
        this.#change(
          () => `claimGateway ${describe(claim)}`,
          () => gateways.claimGateway(claim),
          (gateway) => {
            watch.claimed(claim, gateway);
          },
        ),
      releaseGateway: (roomId, datacenter, homeNodeId, epoch) =>
        this.#change(
          () => `releaseGateway ${roomId} ${datacenter} ${homeNodeId} ${epoch}`,
          () => gateways.releaseGateway(roomId, datacenter, homeNodeId, epoch),
          () => {
            watch.released(roomId, `${datacenter}|${homeNodeId}`, epoch);
          },
        ),
    };
  }

  #entriesPort(): RoomEntries {
    const { entries } = this.#server.stores;
    const { watch } = this.#server;
    return {
      change: (request) =>
        this.#change(
          () => `changeEntries ${describe(request)}`,
          () => entries.change(request),
          (result) => {
            if (result.type === 'changed') watch.logged(request.roomId, result.events);
          },
        ),
      republish: (roomId, ...what) =>
        this.#change(
          () => `republishEntries ${roomId}`,
          () => entries.republish(roomId, ...what),
          ({ events }) => {
            watch.logged(roomId, events);
          },
        ),
      all: (...of) => this.#ask(() => entries.all(...of)),
    };
  }

  #registry(): Registry {
    const { registry } = this.#server;
    return {
      claimPortSlice: (...what) => this.#ask(() => registry.claimPortSlice(...what)),
      announceMediaNode: (...what) => this.#ask(() => registry.announceMediaNode(...what)),
      announceEdge: (...what) => this.#ask(() => registry.announceEdge(...what)),
      withdrawMediaNode: (...what) => this.#ask(() => registry.withdrawMediaNode(...what)),
      withdrawEdge: (...what) => this.#ask(() => registry.withdrawEdge(...what)),
      liveMediaNodes: () => this.#ask(() => registry.liveMediaNodes()),
      liveEdges: () => this.#ask(() => registry.liveEdges()),
    };
  }
}
