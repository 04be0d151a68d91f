import { DISPLAY_NAME, cleanLine, type TrackSource } from '@plenary/cluster/protocol';
import { Store } from '../client/index.ts';
import { recall } from './preferences.ts';

export type Panel = 'none' | 'people' | 'chat';

export interface Toast {
  readonly id: number;
  readonly text: string;
  readonly tone: 'info' | 'problem';
}

/** State of the user interface that is not part of the meeting. */
export interface UiState {
  readonly displayName: string;
  /** Whether the pre-join page is shown: before the meeting, or again after its end. */
  readonly isPreJoin: boolean;
  readonly panel: Panel;
  readonly unreadChat: number;
  readonly toasts: readonly Toast[];
  /** The browser refuses to play sound until the person clicks somewhere, or the system paused it. */
  readonly soundBlocked: boolean;
  /** Sources that the person switched on, but that are not sent although there was time for it. */
  readonly unsent: readonly TrackSource[];
  /** The person has no token, and guests are not admitted. */
  readonly needsInvitation: boolean;
  /** Whether the room's link without a token admits anybody. */
  readonly isLinkOpen: boolean;
  /** The cluster refuses pages from the address of this page. */
  readonly isAddressRefused: boolean;
}

/** Creates the state of a page that was just opened. */
export function createUiStore(): Store<UiState> {
  return new Store<UiState>({
    displayName: rememberedName(),
    isPreJoin: true,
    panel: 'none',
    unreadChat: 0,
    toasts: [],
    soundBlocked: false,
    unsent: [],
    needsInvitation: false,
    isLinkOpen: true,
    isAddressRefused: false,
  });
}

/** The remembered display name; empty if it is no valid name. */
function rememberedName(): string {
  const name = DISPLAY_NAME.safeParse(cleanLine(recall('displayName') ?? ''));
  return name.success ? name.data : '';
}
