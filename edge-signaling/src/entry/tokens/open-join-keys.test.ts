import { generateKeyPairSync } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ManualClock } from '@plenary/cluster';
import { expect, test, vi } from 'vitest';
import { createEdgeMetrics } from '../../metrics.ts';
import { waitFor } from '../../testing/wait-for.ts';
import { openJoinKeys } from './open-join-keys.ts';

test('[TK10] a key set with no key that is taken is said, with what keys need', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'plenary-keys-'));
  const path = join(folder, 'keys.json');
  const { publicKey } = generateKeyPairSync('rsa', { modulusLength: 2_048 });
  await writeFile(path, JSON.stringify({ keys: [{ ...publicKey.export({ format: 'jwk' }), kid: 'a' }] }));
  const [warn, info] = [vi.fn(), vi.fn()];
  const opened = openJoinKeys(
    { apiKeys: new Map(), keySets: new Map([['acme', { path }]]) },
    { clock: new ManualClock(), logger: { warn, info }, metrics: createEdgeMetrics() },
  );
  try {
    opened.start();
    await waitFor('the set to be read', () => warn.mock.calls.length > 0);
    expect(warn).toHaveBeenCalledExactlyOnceWith(
      { apiKey: 'acme', path },
      expect.stringContaining('EC P-256 or Ed25519'),
    );
    expect(opened.keys.find({ keyId: 'a', issuer: 'acme', algorithm: 'RS256' })).toBeUndefined();
  } finally {
    opened.stop();
    await rm(folder, { recursive: true });
  }
});
