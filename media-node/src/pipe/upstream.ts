import type { Gateway, RouterId } from '@plenary/cluster';
import type { RemoteNode } from './home-side.ts';

/** Where a router gets a track from: the router of its home, or a router of a node that relays it. */
export interface Upstream {
  readonly routerId: RouterId;
  /** Absent when that router is of this node. */
  readonly node?: RemoteNode;
  /** The claim of the node that relays the track; absent where the track comes straight from its home. */
  readonly gateway?: Gateway;
  /** The track should have come through a gateway, and comes straight: no gateway could be named in time, or this node was leaving. */
  readonly isBypass?: boolean;
}
