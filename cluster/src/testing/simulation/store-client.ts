import { PlenaryError } from '../../errors.ts';
import type { LoggedEvent } from '../../protocol/room.ts';
import type { RoomId } from '../../protocol/ids.ts';
import type { Registry } from '../../registry/registry.ts';
import type { RoomStore } from '../../room/room-store.ts';
import type { StoreServer } from './store-server.ts';
import type { Life } from './virtual-time.ts';
import type { Net } from './wire.ts';

/** A command that is not answered is given up after this time, as the Redis version does, in milliseconds. */
const COMMAND_TIMEOUT_MS = 2_000;

/** One process' connection to the store, with the ports of the product. */
export class StoreClient {
  readonly rooms: RoomStore;
  readonly registry: Registry;
  readonly consul = undefined;
  readonly #net: Net;
  readonly #server: StoreServer;
  readonly #life: Life;
  readonly #listeners = new Set<(available: boolean) => void>();
  /** Commands of one connection are carried out, and answered, in their order. */
  #lastThereMs = 0;
  #lastBackMs = 0;
  #available: boolean;
  #isCutOff = false;

  constructor(net: Net, server: StoreServer, life: Life) {
    this.#net = net;
    this.#server = server;
    this.#life = life;
    this.#available = server.isUp;
    this.rooms = this.#roomStore();
    this.registry = this.#registry();
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
  #ask<Result>(command: () => Promise<Result>): Promise<Result> {
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
      time.schedule(thereMs - time.nowMs, undefined, undefined, () => {
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

  #logged(roomId: RoomId, command: () => Promise<LoggedEvent[]>): Promise<LoggedEvent[]> {
    return this.#ask(async () => {
      const events = await command();
      this.#server.watch.logged(roomId, events);
      return events;
    });
  }

  #roomStore(): RoomStore {
    const { rooms, watch } = this.#server;
    return {
      view: (...of) => this.#ask(() => rooms.view(...of)),
      placePeer: (request) =>
        this.#ask(async () => {
          const placement = await rooms.placePeer(request);
          watch.placed(request, placement);
          return placement;
        }),
      placementOf: (...of) => this.#ask(() => rooms.placementOf(...of)),
      joinPeer: (roomId, peer, epoch) =>
        this.#ask(async () => {
          const joined = await rooms.joinPeer(roomId, peer, epoch);
          watch.obeyed(roomId, peer.peerId, epoch, 'joinPeer');
          watch.logged(roomId, joined.events);
          return joined;
        }),
      attachPeer: (roomId, peerId, epoch, ...by) =>
        this.#ask(async () => {
          const peer = await rooms.attachPeer(roomId, peerId, epoch, ...by);
          watch.obeyed(roomId, peerId, epoch, 'attachPeer');
          return peer;
        }),
      confirmToken: (...of) => this.#ask(() => rooms.confirmToken(...of)),
      removePeer: (roomId, peerId, epoch, ...how) =>
        this.#ask(async () => {
          const events = await rooms.removePeer(roomId, peerId, epoch, ...how);
          watch.logged(roomId, events);
          await watch.removed(roomId, peerId, epoch);
          return events;
        }),
      publishTrack: (roomId, track) =>
        this.#logged(roomId, async () => {
          const events = await rooms.publishTrack(roomId, track);
          watch.obeyed(roomId, track.peerId, track.epoch, 'publishTrack');
          return events;
        }),
      setTrackPaused: (roomId, ...how) => this.#logged(roomId, () => rooms.setTrackPaused(roomId, ...how)),
      endTracks: (roomId, ...which) => this.#logged(roomId, () => rooms.endTracks(roomId, ...which)),
      tracks: (...which) => this.#ask(() => rooms.tracks(...which)),
      postChat: (post) =>
        this.#ask(async () => {
          const posted = await rooms.postChat(post);
          watch.logged(post.roomId, posted.events);
          return posted;
        }),
      rosterPage: (...which) => this.#ask(() => rooms.rosterPage(...which)),
      catchUp: (...of) => this.#ask(() => rooms.catchUp(...of)),
      republishPeers: (...what) => this.#ask(() => rooms.republishPeers(...what)),
      republishTracks: (...what) => this.#ask(() => rooms.republishTracks(...what)),
      standing: (...of) => this.#ask(() => rooms.standing(...of)),
      lastEventId: (...of) => this.#ask(() => rooms.lastEventId(...of)),
      claimGateway: (claim) =>
        this.#ask(async () => {
          const gateway = await rooms.claimGateway(claim);
          watch.claimed(claim, gateway);
          return gateway;
        }),
      releaseGateway: (roomId, datacenter, homeNodeId, epoch) =>
        this.#ask(async () => {
          await rooms.releaseGateway(roomId, datacenter, homeNodeId, epoch);
          watch.released(roomId, `${datacenter}|${homeNodeId}`, epoch);
        }),
      placements: (...of) => this.#ask(() => rooms.placements(...of)),
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
