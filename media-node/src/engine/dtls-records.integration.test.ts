import { execFileSync, spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { X509Certificate, randomBytes } from 'node:crypto';
import { createSocket } from 'node:dgram';
import type { Socket } from 'node:dgram';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createWorker } from 'mediasoup';
import type { types } from 'mediasoup';
import { MEDIA_CODECS } from '@plenary/cluster/protocol';
import { waitFor } from '@plenary/cluster/testing/wait-for';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { onLoopback } from '../testing/loopback.ts';
import { bindingRequest } from '../testing/stun.ts';
import { testConfig } from '../testing/test-node.ts';

/** The minimum that one packet counts as (`bounds.mjs` of the setup). */
const COUNTED_BYTES = 400;

let worker: types.Worker;
let folder: string;
let client: ChildProcess | undefined;
let sockets: readonly [toNode: Socket, toClient: Socket];

beforeEach(async () => {
  const workerBin = testConfig().workerBin;
  worker = await createWorker({ ...(workerBin === undefined ? {} : { workerBin }) });
  folder = mkdtempSync(join(tmpdir(), 'plenary-dtls-'));
  sockets = [createSocket('udp4'), createSocket('udp4')];
});
afterEach(() => {
  client?.kill('SIGKILL');
  for (const socket of sockets) socket.close();
  worker.close();
  rmSync(folder, { recursive: true });
});

/**
 * A DTLS client by `openssl`, whose packets reach a transport from the source that ICE chose. @returns a function
 * that writes into its DTLS
 */
async function connectedByDtls(transport: types.WebRtcTransport): Promise<(text: string) => void> {
  const [certFile, keyFile] = [join(folder, 'cert.pem'), join(folder, 'key.pem')];
  const made = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-subj', '/CN=client'];
  execFileSync('openssl', ['req', '-x509', ...made, '-keyout', keyFile, '-out', certFile], { stdio: 'pipe' });
  const { fingerprint256 } = new X509Certificate(readFileSync(certFile));
  await transport.connect({
    dtlsParameters: { role: 'client', fingerprints: [{ algorithm: 'sha-256', value: fingerprint256 }] },
  });

  const [toNode, toClient] = sockets;
  const [candidate] = transport.iceCandidates;
  if (candidate === undefined) throw new Error('the transport has no candidate');
  toNode.connect(candidate.port, candidate.address);
  await once(toNode, 'connect');
  toClient.bind(0, '127.0.0.1');
  await once(toClient, 'listening');
  const { usernameFragment, password } = transport.iceParameters;
  toNode.send(bindingRequest(randomBytes(12), `${usernameFragment}:test`, password));
  await once(toNode, 'message');

  let clientPort = 0;
  toClient.on('message', (packet, { port }) => {
    clientPort = port;
    toNode.send(packet);
  });
  toNode.on('message', (packet) => toClient.send(packet, clientPort, '127.0.0.1'));
  const place = `127.0.0.1:${toClient.address().port}`;
  const srtp = ['-use_srtp', 'SRTP_AEAD_AES_256_GCM:SRTP_AES128_CM_SHA1_80'];
  client = spawn(
    'openssl',
    ['s_client', '-dtls1_2', '-quiet', '-connect', place, '-cert', certFile, '-key', keyFile, ...srtp],
    { stdio: ['pipe', 'ignore', 'ignore'] },
  );
  await waitFor('DTLS to be connected', () => transport.dtlsState === 'connected');
  return (text) => client?.stdin?.write(text);
}

test('[MS31] bytes that a client sends in DTLS records count as sent by it', async () => {
  const router = await worker.createRouter({ mediaCodecs: MEDIA_CODECS.map((codec) => ({ ...codec })) });
  const transport = await router.createWebRtcTransport({
    listenInfos: [await onLoopback('udp')],
  });
  const counted = async (): Promise<number> => (await transport.getStats())[0]?.bytesReceived ?? 0;
  const write = await connectedByDtls(transport);
  for (let round = 0; round < 3; round += 1) {
    const before = await counted();
    write('short\n');
    await waitFor('the record to be counted', async () => (await counted()) > before);
    expect(await counted()).toBe(before + COUNTED_BYTES);
  }
});
