import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { createWorker } from 'mediasoup';
import type { types } from 'mediasoup';
import { MEDIA_CODECS } from '@plenary/cluster/protocol';
import { waitFor } from '@plenary/cluster/testing/wait-for';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { onLoopback } from '../testing/loopback.ts';
import { bindingRequest } from '../testing/stun.ts';
import { testConfig } from '../testing/test-node.ts';

const MIB = 1_048_576;
/** The number of connections without a transport that a worker allows (`PATCHES` of the setup), and some more. */
const CONNECTIONS = 1_100;

let worker: types.Worker;
let sockets: Socket[];
beforeEach(async () => {
  const workerBin = testConfig().workerBin;
  worker = await createWorker({ ...(workerBin === undefined ? {} : { workerBin }) });
  sockets = [];
});
afterEach(() => {
  for (const socket of sockets) socket.destroy();
  worker.close();
});

const descriptors = (): number => readdirSync(`/proc/${worker.pid}/fd`).length;
/** From `/proc/<pid>/statm` (proc(5)), in pages of 4 KiB. */
const residentBytes = (): number =>
  Number(readFileSync(`/proc/${worker.pid}/statm`, 'utf8').split(' ')[1]) * 4_096;

async function listening() {
  const router = await worker.createRouter({ mediaCodecs: MEDIA_CODECS.map((codec) => ({ ...codec })) });
  const transport = await router.createWebRtcTransport({
    listenInfos: [await onLoopback('tcp')],
  });
  const [candidate] = transport.iceCandidates;
  if (candidate === undefined) throw new Error('the transport has no candidate');
  const { usernameFragment, password } = transport.iceParameters;
  /** As RFC 4571 frames it. */
  const requestWith = (secret: string): Buffer => {
    const request = bindingRequest(randomBytes(12), `${usernameFragment}:test`, secret);
    return Buffer.concat([Buffer.from([request.length >> 8, request.length & 0xff]), request]);
  };
  return {
    transport,
    request: requestWith(password),
    refused: requestWith(`${password}x`),
    open: async (): Promise<Socket> => {
      const socket = connect(candidate.port, candidate.address);
      sockets.push(socket);
      socket.on('error', () => undefined);
      await once(socket, 'connect');
      return socket;
    },
  };
}

test('[WK12] a client that reads nothing over TCP costs a worker no memory, and nothing after its close', async () => {
  const { transport, request, open } = await listening();
  const opened = descriptors();
  const socket = await open();
  const requests = Buffer.concat(Array.from({ length: 1_000 }, () => request));
  const before = residentBytes();
  let sent = 0;
  for (let round = 0; round < 500; round += 1) {
    sent += 1_000 * (request.length - 2);
    if (!socket.write(requests)) await once(socket, 'drain');
  }
  await waitFor('all requests to be answered', async () => {
    const [stats] = await transport.getStats();
    return (stats?.bytesReceived ?? 0) >= sent;
  });
  expect(residentBytes() - before).toBeLessThan(32 * MIB);
  transport.close();
  // The port closes with its transport.
  await waitFor('the connection to be closed', () => descriptors() < opened);
});

test.each([
  ['name no transport', false],
  ['name a transport without its password', true],
])('[WK21] connections that %s make room for later ones', async (_what, isNamed) => {
  const { request, refused, open } = await listening();
  const before = descriptors();
  const client = await open();
  client.write(request);
  await once(client, 'data');
  let closed = 0;
  for (let count = 0; count < CONNECTIONS; count += 1) {
    const socket = await open();
    socket.on('close', () => {
      closed += 1;
    });
    socket.resume();
    if (isNamed) socket.write(refused);
  }
  await waitFor('the oldest ones to be closed', () => closed >= CONNECTIONS - 1_000);
  expect(descriptors() - before).toBeLessThanOrEqual(1_001);
  client.write(request);
  await once(client, 'data');
});
