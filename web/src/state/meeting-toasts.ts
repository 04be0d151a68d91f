import type { TrackSource } from '@plenary/cluster/protocol';
import type { Meeting, Store } from '../client/index.ts';
import { CAPTURE_KINDS, type LocalMedia } from './local-media.ts';
import {
  SENDS_TOO_MUCH,
  explainFailure,
  explainProblem,
  explainStoppedTrack,
  explainUnpublished,
} from './notices.ts';
import { isViewer } from './people.ts';
import type { ShowToast } from './toasts.ts';
import type { UiState } from './ui-state.ts';

/** Joins and leaves are announced only in rooms of up to this size. */
const MAX_ANNOUNCED_ROOM = 20;
const MAX_CHAT_LETTERS = 80;

/** Shows a toast for each event of the meeting that concerns the person, and counts unread chat messages. */
export function showMeetingEvents(meeting: Meeting, ui: Store<UiState>, showToast: ShowToast): void {
  const { events } = meeting;
  const isSmallRoom = (): boolean => meeting.getSnapshot().room.peerCount <= MAX_ANNOUNCED_ROOM;
  events.on('chat-received', ({ displayName, text }) => {
    const { panel } = ui.getSnapshot();
    if (panel === 'chat') return;
    ui.update((state) => ({ ...state, unreadChat: state.unreadChat + 1 }));
    showToast(
      `${displayName}: ${text.length > MAX_CHAT_LETTERS ? `${text.slice(0, MAX_CHAT_LETTERS)}…` : text}`,
    );
  });
  events.on('peer-joined', ({ displayName }) => {
    if (isSmallRoom()) showToast(`${displayName} joined`);
  });
  events.on('peer-left', ({ displayName }) => {
    if (isSmallRoom() && displayName !== undefined) showToast(`${displayName} left`);
  });
  events.on('publishing-warned', () => {
    showToast(SENDS_TOO_MUCH, 'problem');
  });
  events.on('problem', (error) => {
    showToast(explainFailure(error.code), 'problem');
  });
}

/** Switches off what the meeting does not send any more, so that button and device match, and says why. */
export function showLostTracks(
  meeting: Meeting,
  switchOff: (source: TrackSource) => void,
  showToast: ShowToast,
): void {
  meeting.events.on('local-track-failed', ({ source, error }) => {
    // For a viewer this is no failure; a notice says once that they only watch.
    if (isViewer(meeting.getSnapshot())) return;
    switchOff(source);
    showToast(explainUnpublished(source, error.code), 'problem');
  });
  meeting.events.on('local-track-stopped', ({ source, reason }) => {
    switchOff(source);
    showToast(explainStoppedTrack(source, reason), 'problem');
  });
}

/** Shows a toast when a device stops without the person's request. */
export function showDeviceProblems(media: LocalMedia, showToast: ShowToast): void {
  let before = media.getSnapshot();
  media.subscribe(() => {
    const now = media.getSnapshot();
    for (const kind of CAPTURE_KINDS) {
      const { problem, silenced } = now[kind];
      if (problem === 'gone' && before[kind].problem !== 'gone')
        showToast(explainProblem(kind, 'gone'), 'problem');
      if (silenced && !before[kind].silenced) showToast(explainProblem(kind, 'silenced'), 'problem');
    }
    before = now;
  });
}
