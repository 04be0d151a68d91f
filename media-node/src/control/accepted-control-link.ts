import type { ControlCaller, ControlNoticeInput, ControlNoticeName, ServedLink } from '@plenary/cluster';
import type { PipeRequester } from '../pipe/home-side.ts';
import type { PeerLink } from '../room/peer-link.ts';
import type { NodeBudgets } from './node-budgets.ts';

/** One authenticated control link, from an edge or from another media node. */
export class AcceptedControlLink implements PeerLink {
  readonly caller: ControlCaller;
  /** Passes the notices of home sides on to the node that asked for their pipes over this link. */
  readonly requester: PipeRequester;
  readonly #served: ServedLink;

  constructor(served: ServedLink, budgets: Pick<NodeBudgets, 'holdPipe'>) {
    this.#served = served;
    this.caller = served.caller;
    this.requester = {
      isLocal: false,
      holdPipe: () => budgets.holdPipe(this.caller.id),
      producerChanged: (key, trackId, state) => {
        this.notify('pipe.producer', { ...key, trackId, state });
      },
      closed: (key) => {
        this.notify('pipe.closed', { ...key });
      },
      moved: (key, homeNodeId) => {
        this.notify('pipe.moved', { ...key, homeNodeId });
      },
    };
  }

  notify<Name extends ControlNoticeName>(name: Name, payload: ControlNoticeInput<Name>): void {
    this.#served.notify(name, payload);
  }

  close(): void {
    this.#served.close();
  }
}
