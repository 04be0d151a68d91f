import type { TrackSource } from '@plenary/cluster/protocol';
import type { Meeting, MeetingSnapshot } from '../client/index.ts';

/** How long an enabled source may stay unsent before the person is notified, in milliseconds. Usually it takes a tenth of that. */
export const UNSENT_AFTER_MS = 2_000;

/** The sources that the person has switched on, but that are not sent yet. */
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

/** Reports enabled sources that stay unsent for {@link UNSENT_AFTER_MS}, and the end of that state. */
export function watchUnsent(
  meeting: Pick<Meeting, 'getSnapshot' | 'subscribe'>,
  report: (unsent: readonly TrackSource[]) => void,
): void {
  let reported: readonly TrackSource[] = [];
  let isDue = false;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const check = (): void => {
    const unsent = unsentNow(meeting.getSnapshot());
    if (unsent.length === 0) {
      clearTimeout(timer);
      timer = undefined;
      isDue = false;
    } else {
      timer ??= setTimeout(() => {
        isDue = true;
        check();
      }, UNSENT_AFTER_MS);
    }
    const next = isDue ? unsent : [];
    if (next.join() === reported.join()) return;
    reported = next;
    report(next);
  };
  meeting.subscribe(check);
}
