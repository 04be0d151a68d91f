import type { TrackSource } from '@plenary/cluster/protocol';
import type { Meeting, MeetingSnapshot } from '../client/index.ts';

/** So long it may take until what was switched on is sent before the person is told, in milliseconds: mostly it is a tenth of that. */
export const UNSENT_AFTER_MS = 2_000;

/** What the person has switched on in a meeting that has not been able to send it so far. */
export function unsentNow({
  connection,
  localTracks,
}: Pick<MeetingSnapshot, 'connection' | 'localTracks'>): readonly TrackSource[] {
  if (connection.phase !== 'joined') return [];
  return [...localTracks.values()]
    .filter(({ mediaTrack, paused, status }) => mediaTrack !== null && !paused && status !== 'failed')
    .filter(({ isSent }) => !isSent)
    .map(({ source }) => source);
}

/** Tells what a person has switched on and nobody gets, once that has lasted for {@link UNSENT_AFTER_MS}, and when it is over. */
export function watchUnsent(
  meeting: Pick<Meeting, 'getSnapshot' | 'subscribe'>,
  tell: (unsent: readonly TrackSource[]) => void,
): void {
  let told: readonly TrackSource[] = [];
  let isDue = false;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const look = (): void => {
    const unsent = unsentNow(meeting.getSnapshot());
    if (unsent.length === 0) {
      clearTimeout(timer);
      timer = undefined;
      isDue = false;
    } else {
      timer ??= setTimeout(() => {
        isDue = true;
        look();
      }, UNSENT_AFTER_MS);
    }
    const next = isDue ? unsent : [];
    if (next.join() === told.join()) return;
    told = next;
    tell(next);
  };
  meeting.subscribe(look);
}
