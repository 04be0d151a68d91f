import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer as createHttpServer } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  AuthorityFile,
  identityOfSecrets,
  mintIncarnation,
  RareLines,
  silentLogger,
  systemClock,
} from '@plenary/cluster';
import type { Logger } from '@plenary/cluster';
import { createAuthority } from '@plenary/cluster/testing/certificates';
import { mediaNode } from '@plenary/cluster/testing/samples';
import { expect, it, vi } from 'vitest';
import { createEdgeMetrics } from '../metrics.ts';
import { TEST_CLUSTER_SECRET } from '../testing/edge-process.ts';
import { waitFor } from '../testing/wait-for.ts';
import { ControlLink } from './control-link.ts';

const noop = (): void => undefined;

function openLink(port: number, logger: Logger, caFile?: AuthorityFile): ControlLink {
  const caller = { kind: 'edge', id: 'edge', incarnation: mintIncarnation() } as const;
  return new ControlLink({
    mediaNodeId: mediaNode('node-1'),
    controlUrl: `https://127.0.0.1:${port}`,
    identity: identityOfSecrets([TEST_CLUSTER_SECRET], caller),
    caFile,
    caller,
    listener: {
      onUp: noop,
      onDown: noop,
      onRoomEvents: noop,
      onSpeakers: noop,
      onConsumerClosed: noop,
      onConsumerSuperseded: noop,
      onTrackDemand: noop,
      onPeerLost: noop,
      onPeerUnreached: noop,
      onPeerMove: noop,
      onPublishingLimited: noop,
    },
    isAnnounced: async () => true,
    clock: systemClock,
    logger,
    lines: new RareLines(systemClock),
    metrics: createEdgeMetrics(),
    reportFault: noop,
  });
}

it('[OP12] a certificate that is not believed is said in words, once', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'plenary-tls-'));
  const { certFile, keyFile } = createAuthority(folder, 'theirs').issue('node');
  const server = createServer({ cert: readFileSync(certFile), key: readFileSync(keyFile) });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  let attempts = 0;
  server.on('tlsClientError', () => {
    attempts += 1;
  });
  const logger = silentLogger();
  const errors = vi.spyOn(logger, 'error');
  const port = (server.address() as AddressInfo).port;
  const link = openLink(port, logger, new AuthorityFile(createAuthority(folder, 'ours').caFile));
  try {
    await waitFor('three attempts', () => attempts >= 3);
    expect(errors).toHaveBeenCalledOnce();
    const why: unknown = expect.stringContaining('certificate');
    expect(errors).toHaveBeenCalledWith(
      expect.objectContaining({
        why,
        cause: 'tls_refused',
        toDo: expect.stringContaining('PLENARY_TLS_CA_FILE') as unknown,
      }),
      'media node unreachable; connecting again',
    );
    expect(link.isUp).toBe(false);
  } finally {
    link.close();
    server.close();
    rmSync(folder, { recursive: true });
  }
});

it('[OP12] a node that is named by https and speaks plain HTTP is told apart from one that is not reached', async () => {
  const server = createHttpServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const logger = silentLogger();
  const errors = vi.spyOn(logger, 'error');
  const link = openLink((server.address() as AddressInfo).port, logger);
  try {
    await waitFor('what is wrong to be said', () => errors.mock.calls.length > 0);
    expect(errors).toHaveBeenCalledWith(
      expect.objectContaining({
        cause: 'tls_refused',
        toDo: expect.stringContaining('PLENARY_TLS_CERT_FILE') as unknown,
      }),
      'media node unreachable; connecting again',
    );
    expect(link.trouble).toBe('tls_refused');
  } finally {
    link.close();
    server.close();
  }
});
