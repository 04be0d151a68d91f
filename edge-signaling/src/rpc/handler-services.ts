import type { Clock, RoomStores } from '@plenary/cluster';
import type { EdgeConfig } from '../config.ts';
import type { EntryAssembly } from '../entry/entry-assembly.ts';
import type { MediaAssembly } from '../media/media-assembly.ts';
import type { EdgeMetrics, ReportFault } from '../metrics.ts';
import type { RecoveryAssembly } from '../recovery/recovery-assembly.ts';
import type { LocalRooms } from '../room/local-rooms.ts';
import type { RoomReader } from '../room/room-reader.ts';
import type { RoomChannel } from '../transport/client-socket.ts';
import type { HandlerServices } from './table.ts';

/** What handlers use beside the three assemblies. */
export interface HandlerPorts {
  readonly config: Pick<EdgeConfig, 'edgeId'>;
  readonly stores: Pick<RoomStores, 'placements' | 'roomLog' | 'entries'>;
  readonly reader: RoomReader;
  readonly localRooms: LocalRooms;
  readonly channel: RoomChannel;
  /** Whether nobody new is taken. */
  readonly isDraining: () => boolean;
  readonly clock: Clock;
  readonly metrics: EdgeMetrics;
  readonly reportFault: ReportFault;
}

/** Gives the handlers of each kind the few parts that they use. */
export function handlerServices(
  { links, placer, drops, watch: mediaWatch }: MediaAssembly,
  { republisher, storeWait }: RecoveryAssembly,
  { joinGate, resumeGate, mediaGate, entrance, keeper }: EntryAssembly,
  { config, stores, reader, localRooms, channel, isDraining, clock, metrics, reportFault }: HandlerPorts,
): HandlerServices {
  const { placements, roomLog, entries } = stores;
  const { edgeId } = config;
  return {
    entry: { joinGate, resumeGate, entrance, keeper, localRooms, isDraining, clock, metrics },
    media: {
      mediaGate,
      placements,
      reader,
      placer,
      drops,
      keeper,
      localRooms,
      links,
      mediaWatch,
      republisher,
      storeWait,
      clock,
      reportFault,
    },
    tracks: { links, clock, channel, localRooms, reportFault },
    subscriptions: { links, clock, roomLog, localRooms, metrics, reportFault },
    room: { roomLog, reader, republisher, channel },
    features: { edgeId, entries, republisher, channel },
  };
}
