/**
 * Asks the browser for devices or a screen on behalf of an owner, who may have gone by the time a person has answered. Then what
 * was captured is stopped at once, and reaches nobody.
 *
 * @returns `undefined` when the owner has gone
 * @throws what the browser refused with
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
