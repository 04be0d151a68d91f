import type { Gateway, RouterId } from '@plenary/cluster';
import type { RemoteNode } from './home-side.ts';

/** The router from which a track is pulled: the one at its home, or one of a node that relays it. */
export interface Upstream {
  readonly routerId: RouterId;
  /** Absent when that router is on this node. */
  readonly node?: RemoteNode;
  /** The claim of the node that relays the track; absent when the track comes straight from its home. */
  readonly gateway?: Gateway;
  /**
   * The track comes straight from its home although it should come through a gateway: none could be named in time, or
   * this node was leaving.
   */
  readonly isBypass?: boolean;
}
