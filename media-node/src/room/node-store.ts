import type { ClusterStore } from '@plenary/cluster';

/** The part of the cluster's store that a media node uses. */
export type NodeStore = Pick<ClusterStore, 'registry' | 'rooms' | 'isAvailable' | 'onAvailability'> &
  Partial<Pick<ClusterStore, 'consul' | 'trouble' | 'onTrouble'>>;
