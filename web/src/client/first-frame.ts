import type { types } from 'mediasoup-client';

const POLL_MS = 50;
const GIVE_UP_MS = 15_000;

/** Calls back when the consumer's first frame was decoded. Cleans up after itself, also when it never comes. */
export function watchFirstFrame(consumer: types.Consumer, decoded: () => void): void {
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
    consumer.getStats().then(
      (report) => {
        report.forEach((entry: Readonly<Record<string, unknown>>) => {
          const { type, framesDecoded } = entry;
          if (type === 'inbound-rtp' && typeof framesDecoded === 'number' && framesDecoded > 0) done();
        });
      },
      // The consumer was closed between the two lines; the next tick ends the watch.
      () => undefined,
    );
  }, POLL_MS);
}
