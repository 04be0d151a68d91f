import {
  MEDIA_NODE_ID,
  MemoryRegistry,
  identityOfSecrets,
  mintIncarnation,
  silentLogger,
} from '@plenary/cluster';
import type { MediaNodeRecord } from '@plenary/cluster';
import { expect, test } from 'vitest';
import { createMetrics } from '../metrics.ts';
import { NodeDirectory } from './node-directory.ts';
import { NodeLinks } from './node-links.ts';

/** A registry whose store does not answer. */
class SilentRegistry extends MemoryRegistry {
  override liveMediaNodes(): Promise<MediaNodeRecord[]> {
    return new Promise(() => undefined);
  }
}

test('[LC16] opening links do not delay a stop, and none opens after it', async () => {
  const [metrics, logger] = [createMetrics(false), silentLogger()];
  const id = MEDIA_NODE_ID.parse('a');
  const links = new NodeLinks({
    directory: new NodeDirectory(new SilentRegistry(), metrics, logger),
    identity: identityOfSecrets(['a secret of at least thirty-two characters'], { kind: 'media-node', id }),
    caller: { kind: 'media-node', id, incarnation: mintIncarnation() },
    caFile: undefined,
    onFault: () => undefined,
    metrics,
    logger,
  });
  links.open(MEDIA_NODE_ID.parse('b'));
  expect(links.close()).toBeUndefined();
  await expect(links.find(MEDIA_NODE_ID.parse('c'))).rejects.toMatchObject({ code: 'shutting_down' });
});
