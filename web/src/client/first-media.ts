import type { types } from 'mediasoup-client';

const POLL_MS = 50;

/**
 * Waits until the first frame of a video was decoded, or the first packets of a sound came: until it can take the place
 * of another one unnoticed. Settles as well when the consumer closes, when the signal aborts, or after `atMostMs`.
 */
export function firstMedia(consumer: types.Consumer, signal: AbortSignal, atMostMs: number): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearInterval(poll);
      clearTimeout(deadline);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const figure = consumer.kind === 'video' ? 'framesDecoded' : 'packetsReceived';
    const poll = setInterval(() => {
      if (consumer.closed) {
        done();
        return;
      }
      consumer.getStats().then(
        (report) => {
          report.forEach((entry: Readonly<Record<string, unknown>>) => {
            const count = entry['type'] === 'inbound-rtp' ? entry[figure] : undefined;
            if (typeof count === 'number' && count > 0) done();
          });
        },
        // The consumer was closed between the two lines; the next tick ends the wait.
        () => undefined,
      );
    }, POLL_MS);
    const deadline = setTimeout(done, atMostMs);
    signal.addEventListener('abort', done);
    if (signal.aborted) done();
  });
}
