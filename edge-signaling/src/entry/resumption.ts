import { setTimeout as sleep } from 'node:timers/promises';
import { PlenaryError, REPUBLISH_INTERVAL_MS } from '@plenary/cluster';
import type { Clock, PlacedPeer, Placement, PlacementStore, TenantStore } from '@plenary/cluster';
import type { MediaNodeId, PeerId, RoomId } from '@plenary/cluster/ids';
import { roomIdOf } from '@plenary/cluster/ids';
import type { ClientRequest } from '@plenary/cluster/protocol';
import type { MediaLinks } from '../media/control-links.ts';
import type { MediaWatch } from '../media/media-watch.ts';
import type { ReportFault } from '../metrics.ts';
import type { Republisher } from '../recovery/republisher.ts';
import type { StoreWait } from '../recovery/store-wait.ts';
import type { RoomReader } from '../room/room-reader.ts';
import { checkVersion } from '../rpc/versioned.ts';
import type { ClientSocket } from '../transport/client-socket.ts';
import { carryBudget } from './carried-budget.ts';
import type { CarriedBudgetSettings } from './carried-budget.ts';
import { owesForComingBack } from './debt.ts';
import { notFoundAs } from './entered.ts';
import type { Entered, Entering } from './entered.ts';
import type { GatePlace } from './gates/entry-gate.ts';
import { sessionNote } from './session-note.ts';
import type { SessionNoteSettings } from './session-note.ts';
import { Session } from './session.ts';
import type { MediaSession } from './session.ts';
import type { Authenticator } from './tokens/authenticate.ts';

/** How long a resume waits for the media node to say whether it still hosts the peer, in milliseconds. */
const ATTACH_TIMEOUT_MS = 2_000;
/** How often a resume reads a room that is being rebuilt, in milliseconds. */
const READ_AGAIN_MS = 250;

export interface ResumptionSettings extends SessionNoteSettings, CarriedBudgetSettings {
  readonly authenticator: Pick<Authenticator, 'resume'>;
  readonly tenants: Pick<TenantStore, 'isEnded'>;
  readonly placements: Pick<PlacementStore, 'attachPeer' | 'placementOf'>;
  readonly reader: RoomReader;
  readonly isStoreAvailable: () => boolean;
  readonly storeWait: Pick<StoreWait, 'untilAvailable'>;
  readonly links: MediaLinks;
  readonly republisher: Republisher;
  readonly mediaWatch: Pick<MediaWatch, 'keepFor'>;
  readonly clock: Clock;
  readonly reportFault: ReportFault;
}

/** Resumes sessions: finds the peer's placement, attaches it to this edge, and asks its media nodes whether they still host it. */
export class Resumption {
  readonly #settings: ResumptionSettings;

  constructor(settings: ResumptionSettings) {
    this.#settings = settings;
  }

  /**
   * Resumes a session on this edge; its transports stay as they are.
   * @throws PlenaryError `protocol_version`, `store_unavailable`, `token_*`, `proof_invalid`, `session_gone`, `access_revoked`
   */
  async resume(
    request: ClientRequest<'resume'>,
    socket: ClientSocket,
    { place, charge }: Pick<Entering, 'place' | 'charge'>,
  ): Promise<Entered<'resume'>> {
    const { authenticator, tenants, placements, reader, edgeId, keeper, localRooms, links, storeWait } =
      this.#settings;
    checkVersion(request.protocolVersion);
    const claims = await authenticator.resume(request, socket.id);
    const { peer: peerId, cnf, generation, ...grants } = claims;
    if (owesForComingBack(localRooms.find(peerId), cnf.jwk))
      throw new PlenaryError('rate_limited', 'You came back too often.');
    const roomId = roomIdOf(grants.tenant, grants.room);
    charge({ roomId, tenantId: grants.tenant });
    if (!this.#settings.isStoreAvailable()) await place.whileWaiting(async () => storeWait.untilAvailable());
    socket.enterRoom(roomId);
    const endKeeping = this.#settings.mediaWatch.keepFor(peerId);
    try {
      const placement = await this.#findPlacement(roomId, peerId, place);
      if (placement === undefined) throw new PlenaryError('session_gone');
      const placed = { roomId, peerId, epoch: placement.epoch };
      // The attach comes first, because it decides whether the session is resumed: a refused token must change nothing.
      const { self, sequence, holdEpoch, previous, peerCount } = await place.whileSlow(async () =>
        placements
          .attachPeer(roomId, peerId, placement.epoch, edgeId, generation)
          .catch(notFoundAs('session_gone')),
      );
      const attaching = Promise.all([
        this.#attachMedia(placement.mediaNodeId, placed),
        previous !== undefined &&
          this.#attachMedia(previous.mediaNodeId, { roomId, peerId, epoch: previous.epoch }),
      ]);
      const begun = { roomId, subject: grants.sub, joinedAtMs: self.joinedAtMs };
      const [catchUp, isEnded] = await place.whileSlow(async () =>
        Promise.all([
          reader.catchUp(roomId, request.lastEventId),
          // This edge may have missed the message that ended the person's access.
          tenants.isEnded(grants.tenant, begun),
        ]),
      );
      const [isAlive, isPreviousAlive] = await place.whileWaiting(async () => attaching);
      const proof = { key: cnf.jwk, generation: generation + 1 };
      const incarnationOf = (id: MediaNodeId): MediaSession['incarnation'] => links.get(id)?.incarnation;
      const { mediaNodeId, epoch, requestId } = placement;
      const { displayName, joinedAtMs, role } = self;
      const record = { requestId, sequence, joinedAtMs, role };
      const media = { mediaNodeId, epoch, incarnation: incarnationOf(mediaNodeId), holdEpoch };
      const session = new Session({ roomId, peerId, displayName }, grants, proof, record, media);
      if (previous !== undefined && isPreviousAlive) {
        session.moveTo(media, { ...previous, incarnation: incarnationOf(previous.mediaNodeId) });
      }
      // This answer already tells the client about the loss; the session must not notify it again.
      if (!isAlive) session.noteMediaLost(epoch);
      // A client whose move was interrupted asks about the media session that it has, which may be the previous one.
      const clientEpoch = request.epoch ?? epoch;
      const mediaAlive =
        clientEpoch === epoch ? isAlive : clientEpoch === previous?.epoch && isPreviousAlive === true;
      carryBudget(session, placement.holdEpoch, this.#settings);
      const note = await sessionNote(session, this.#settings);
      keeper.take(session, socket, peerCount);
      if (placement.edgeId !== edgeId) keeper.announce({ peerId, holdEpoch });
      if (isEnded) {
        // The keeper takes the session first, so that its transports and records are removed as for any ended session.
        await keeper.remove(session);
        throw new PlenaryError('access_revoked');
      }
      return { session, reply: { session: note, catchUp, mediaAlive } };
    } catch (fault) {
      if (localRooms.find(peerId)?.socket !== socket) socket.leaveRoom(roomId);
      throw fault;
    } finally {
      endKeeping();
    }
  }

  /** Reads a peer's placement. If the store lost the room, the edge that holds the session republishes it soon. */
  async #findPlacement(roomId: RoomId, peerId: PeerId, place: GatePlace): Promise<Placement | undefined> {
    const { placements, reader, republisher, localRooms, clock } = this.#settings;
    const untilMs = clock.monotonicMs() + 2 * REPUBLISH_INTERVAL_MS;
    const readPlacement = async (): Promise<Placement | undefined> =>
      place.whileSlow(async () => placements.placementOf(roomId, peerId));
    let placement = await readPlacement();
    if (placement === undefined && localRooms.find(peerId) !== undefined) {
      await place.whileSlow(async () => republisher.room(roomId));
      placement = await readPlacement();
    }
    while (placement === undefined && clock.monotonicMs() < untilMs) {
      if ((await place.whileSlow(async () => reader.standing(roomId))) === 'whole') return readPlacement();
      await place.whileWaiting(async () => sleep(READ_AGAIN_MS));
      placement = await readPlacement();
    }
    return placement;
  }

  /** Asks the media node whether it still hosts the peer, and attaches the peer to this edge there. */
  async #attachMedia(mediaNodeId: MediaNodeId, placed: PlacedPeer): Promise<boolean> {
    const { links, reportFault } = this.#settings;
    try {
      const link = await links.reach(mediaNodeId, ATTACH_TIMEOUT_MS);
      const { alive } = await link.call('peer.attach', placed, ATTACH_TIMEOUT_MS);
      return alive;
    } catch (fault) {
      reportFault('control_link', fault, { doing: 'peer.attach' });
      return false;
    }
  }
}
