import type { ClusterStore, RoomStores } from '@plenary/cluster';

/** The part of the cluster's store that a media node uses. */
export type NodeStore = Pick<
  ClusterStore,
  Exclude<keyof RoomStores, 'entries'> | 'registry' | 'isAvailable' | 'onAvailability'
> &
  Partial<Pick<ClusterStore, 'consul' | 'trouble' | 'onTrouble'>>;
