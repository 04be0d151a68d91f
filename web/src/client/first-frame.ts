import type { types } from 'mediasoup-client';
import { entriesOf, numberOf } from './stats-entries.ts';

const POLL_MS = 50;
const GIVE_UP_MS = 15_000;

/**
 * Calls `decoded` after the consumer's first decoded frame. Cleans up its timers also when no frame arrives.
 * @param noStats - called once when the browser gives no statistics; after that only a visible page can detect the frame
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

  // An element reports the frame at once, while statistics are cached for 50 ms. But it needs a visible page.
  if (typeof document !== 'undefined') {
    video = document.createElement('video');
    video.muted = true;
    video.playsInline = true;
    video.addEventListener('loadeddata', done, { once: true });
    if ('requestVideoFrameCallback' in video) video.requestVideoFrameCallback(done);
    video.srcObject = new MediaStream([consumer.track]);
    // After refused autoplay or an interrupted load, the statistics below still report the frame.
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
