/**
 * Requests devices or a screen from the browser for an owner. If the owner is aborted before the person answers, the captured tracks are
 * stopped at once.
 *
 * @returns `undefined` when the owner was aborted
 * @throws the browser's refusal
 */
export async function captureFor(
  owner: AbortSignal,
  ask: () => Promise<MediaStream>,
): Promise<MediaStream | undefined> {
  if (owner.aborted) return undefined;
  let stream: MediaStream;
  try {
    stream = await ask();
  } catch (thrown) {
    if (owner.aborted) return undefined;
    throw thrown;
  }
  if (!owner.aborted) return stream;
  for (const track of stream.getTracks()) track.stop();
  return undefined;
}
