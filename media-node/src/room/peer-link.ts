import type { ControlCaller, ControlNoticeInput, ControlNoticeName } from '@plenary/cluster';

/** The part of a control link that a room uses. */
export interface PeerLink {
  readonly caller: ControlCaller;
  /** Sends a notice. A closed link drops it; the edge learns of the change when it attaches again. */
  notify<Name extends ControlNoticeName>(name: Name, payload: ControlNoticeInput<Name>): void;
}
