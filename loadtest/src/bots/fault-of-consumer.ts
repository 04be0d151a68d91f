import { faultOfOffer } from '@plenary/cluster/protocol';
import type { ConsumerOffer } from '@plenary/cluster/protocol';

/**
 * Why a bot cannot receive a consumer, as a sentence; `undefined` if it can. A bot has no browser that would refuse one, so it
 * checks offers as the web client does before it hands them to the browser (SPEC MS4).
 * @param isTaken - whether another consumer has an SSRC
 */
export function faultOfConsumer(
  { kind, rtpParameters }: ConsumerOffer,
  isTaken: (ssrc: number) => boolean,
): string | undefined {
  if (rtpParameters === null) return 'Its parameters cannot be read.';
  const { encodings = [] } = rtpParameters;
  const ssrcs = encodings.flatMap(({ ssrc, rtx }) => [ssrc, rtx?.ssrc].filter((one) => one !== undefined));
  if (ssrcs.length === 0) return 'It has no SSRC.';
  if (ssrcs.some(isTaken)) return 'Another consumer has its SSRC.';
  return faultOfOffer(kind, rtpParameters);
}
