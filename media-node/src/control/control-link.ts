import type { Socket } from 'socket.io';
import type { ControlCaller, ControlNoticeInput, ControlNoticeName } from '@plenary/cluster';
import type { PipeAsker } from '../pipe/home-side.ts';
import type { PeerLink } from '../room/peer-link.ts';

/** One authenticated control link, from an edge or from another media node. */
export class ControlLink implements PeerLink {
  readonly caller: ControlCaller;
  /** What the home sides of pipes tell the node that asked for them over this link. */
  readonly asker: PipeAsker;
  readonly #socket: Socket;

  constructor(socket: Socket, caller: ControlCaller) {
    this.#socket = socket;
    this.caller = caller;
    this.asker = {
      isLocal: false,
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
    this.#socket.emit(name, payload);
  }

  close(): void {
    this.#socket.disconnect(true);
  }
}
