import type { types } from 'mediasoup-client';
import { entriesOf, numberOf } from './stats-entries.ts';

const POLL_MS = 50;
const GIVE_UP_MS = 15_000;

/**
 * Calls back when the consumer's first frame was decoded. Cleans up after itself, also when it never comes.
 * @param noStats - told once when the browser gives no statistics, after which only a page that is drawn can tell
 */
export function watchFirstFrame(
  consumer: types.Consumer,
  decoded: () => void,
  noStats: (thrown: unknown) => void,
): void {
  let timer: ReturnType<typeof setInterval> | undefined;
  let video: HTMLVideoElement | undefined;
  const stop = (): void => {
    clearInterval(timer);
    clearTimeout(deadline);
    if (video !== undefined) video.srcObject = null;
    video = undefined;
  };
  const deadline = setTimeout(stop, GIVE_UP_MS);
  const done = (): void => {
    if (video === undefined && timer === undefined) return;
    stop();
    timer = undefined;
    decoded();
  };

  // An element tells of the frame at once, where statistics are cached for 50 ms; it needs a page that is drawn.
  if (typeof document !== 'undefined') {
    video = document.createElement('video');
    video.muted = true;
    video.playsInline = true;
    video.addEventListener('loadeddata', done, { once: true });
    if ('requestVideoFrameCallback' in video) video.requestVideoFrameCallback(done);
    video.srcObject = new MediaStream([consumer.track]);
    // Refused autoplay or an interrupted load: the statistics below still tell.
    video.play().catch(() => undefined);
  }
  timer = setInterval(() => {
    if (consumer.closed) {
      stop();
      return;
    }
    entriesOf(consumer).then(
      (entries) => {
        const entry = entries.find(({ type }) => type === 'inbound-rtp');
        if (numberOf(entry, 'framesDecoded') > 0) done();
      },
      (thrown: unknown) => {
        if (timer === undefined) return;
        clearInterval(timer);
        timer = undefined;
        noStats(thrown);
      },
    );
  }, POLL_MS);
}
