import type { KeyObject } from 'node:crypto';
import type {
  AdminActions,
  Clock,
  RejoinClaims,
  RoomStores,
  SessionClaims,
  TenantStore,
} from '@plenary/cluster';
import type { EdgeConfig } from '../config.ts';
import type { Directory } from '../directory/directory.ts';
import type { EdgeBudgets } from '../limits/meter.ts';
import type { MediaAssembly } from '../media/media-assembly.ts';
import type { EdgeMetrics, ReportFault } from '../metrics.ts';
import { EndedAccess } from '../operations/ended-access.ts';
import { edgeOperations } from '../operations/operations.ts';
import type { OperationsSettings } from '../operations/operations.ts';
import type { RecoveryAssembly } from '../recovery/recovery-assembly.ts';
import type { LocalRooms } from '../room/local-rooms.ts';
import type { RoomReader } from '../room/room-reader.ts';
import type { TenantMeter } from '../tenant-meter.ts';
import type { RoomChannel } from '../transport/client-socket.ts';
import { Entrance } from './entrance.ts';
import { EntryGate, ENTRY_PATIENCE_MS } from './gates/entry-gate.ts';
import { SessionKeeper } from './session-keeper.ts';
import type { Authenticator } from './tokens/authenticate.ts';

/**
 * Joins and resumes that are handled at a time: so few that one turn of the event loop with all of them stays below
 * 30 ms, and so many that an edge whose store is 30 ms away still resumes 400 sessions a second.
 */
const JOINS_AT_ONCE = 32;
const RESUMES_AT_ONCE = 64;
const MEDIA_OPENINGS_AT_ONCE = 32;

export interface EntryAssemblySettings {
  readonly config: Pick<EdgeConfig, 'edgeId' | 'resumeWithinMs' | 'guests'>;
  readonly stores: Pick<RoomStores, 'placements' | 'roomLog'>;
  readonly tenants: TenantStore;
  readonly isStoreAvailable: () => boolean;
  readonly authenticator: Pick<Authenticator, 'join' | 'resume' | 'session'>;
  /** The key that peer ids are derived from. */
  readonly peerIdKey: KeyObject;
  /** Signs the token that proves a session to any edge. */
  readonly signToken: (claims: SessionClaims) => Promise<string>;
  /** Signs the token by which a person joins again after the session; `undefined` if the time for that is over. */
  readonly signRejoinToken: (claims: RejoinClaims) => Promise<string | undefined>;
  readonly media: Pick<MediaAssembly, 'links' | 'placer' | 'watch'>;
  readonly recovery: RecoveryAssembly;
  readonly directory: Directory;
  readonly localRooms: LocalRooms;
  readonly reader: RoomReader;
  readonly budgets: EdgeBudgets;
  readonly channel: RoomChannel;
  readonly tenantMeter: Pick<TenantMeter, 'joined'>;
  readonly clock: Clock;
  readonly metrics: EdgeMetrics;
  readonly reportFault: ReportFault;
}

/** The part of an edge that admits clients and keeps their sessions: the gates, the entrance and the session keeper. */
export class EntryAssembly {
  /** Joins, resumes and openings of media have a gate each, so that a storm of the one kind does not hold up the others. */
  readonly joinGate: EntryGate;
  readonly resumeGate: EntryGate;
  readonly mediaGate: EntryGate;
  readonly keeper: SessionKeeper;
  readonly entrance: Entrance;
  /** The requests of operators about rooms and people. */
  readonly operations: (more: Pick<OperationsSettings, 'isTenant' | 'rejoinWithinSeconds'>) => AdminActions;

  constructor(settings: EntryAssemblySettings) {
    const { config, stores, tenants, isStoreAvailable, media, recovery, directory, localRooms } = settings;
    const { reader, budgets, channel, tenantMeter, clock, metrics, reportFault } = settings;
    const { edgeId, resumeWithinMs } = config;
    const { placements, roomLog } = stores;
    const { departures, republisher, sweeper, storeWait, tenantClaims } = recovery;
    const gate = (kind: 'join' | 'resume' | 'media', atOnce: number): EntryGate =>
      new EntryGate({
        atOnce,
        patienceMs: ENTRY_PATIENCE_MS,
        clock,
        onWaiting: (count) => metrics.waitingEntries.set({ kind }, count),
      });
    this.joinGate = gate('join', JOINS_AT_ONCE);
    this.resumeGate = gate('resume', RESUMES_AT_ONCE);
    this.mediaGate = gate('media', MEDIA_OPENINGS_AT_ONCE);
    const endedAccess = new EndedAccess(clock);
    const keeper = new SessionKeeper({
      edgeId,
      isEnded: (session) => endedAccess.covers(session),
      signToken: settings.signToken,
      resumeWithinMs,
      placements,
      localRooms,
      departures,
      tenantClaims,
      channel,
      remainingBudgets: budgets.remaining,
      clock,
      metrics,
      reportFault,
    });
    this.keeper = keeper;
    republisher.onOutdated((session, verdict) => {
      if (verdict === 'moved') keeper.attachedElsewhere(session.peerId);
      else keeper.endAsGone(session);
    });
    this.entrance = new Entrance({
      edgeId,
      peerIdKey: settings.peerIdKey,
      resumeWithinMs,
      guests: config.guests,
      authenticator: settings.authenticator,
      signRejoinToken: settings.signRejoinToken,
      tenants,
      placements,
      roomLog,
      reader,
      isStoreAvailable,
      storeWait,
      directory,
      links: media.links,
      placer: media.placer,
      keeper,
      republisher,
      localRooms,
      mediaWatch: media.watch,
      departures,
      tenantClaims,
      channel,
      carriedBudget: (heldForMs) => budgets.carriedSessionBudget(heldForMs),
      clock,
      onEntering: (roomId) => sweeper.note(roomId),
      onOutcome: (tenantId, result) => tenantMeter.joined(tenantId, result),
      reportFault,
    });
    this.operations = (more) => edgeOperations({ ...more, edgeId, tenants, localRooms, keeper, endedAccess });
  }

  start(): void {
    this.keeper.start();
  }

  /** Stops the timers of sessions, because other edges resume them. Called again once the clients are gone. */
  stop(): void {
    this.keeper.stop();
  }
}
