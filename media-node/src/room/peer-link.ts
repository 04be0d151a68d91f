import type { ControlCaller, ControlNoticeInput, ControlNoticeName } from '@plenary/cluster';

/** A control link as a room sees it: whom to tell. */
export interface PeerLink {
  readonly caller: ControlCaller;
  /** Sends a notice; on a link that is closed it is lost, which its closing makes up for. */
  notify<Name extends ControlNoticeName>(name: Name, payload: ControlNoticeInput<Name>): void;
}
