/**
 * A program for tests: a router that listens on every interface and announces the addresses in its arguments. It
 * checks each UDP candidate that this machine has an address for, from the address in the first argument, and prints
 * the candidates that answered.
 */
import { networkInterfaces } from 'node:os';
import { silentLogger } from '@plenary/cluster';
import { planPorts } from '../engine/port-plan.ts';
import { WorkerPool } from '../engine/worker-pool.ts';
import { pairAddresses } from '../media-address.ts';
import { createMetrics } from '../metrics.ts';
import { checkCandidate } from './stun.ts';

const [from, ...told] = process.argv.slice(2);
const paired = pairAddresses(told, ['0.0.0.0']);
const ports = planPorts({ firstPort: 20_000, lastPort: 20_019 }, 1);
if ('faults' in paired || 'fault' in ports) throw new Error('not a set-up');
const workerBin = process.env['MEDIASOUP_WORKER_BIN'];
const pool = new WorkerPool({
  metrics: createMetrics(false),
  logger: silentLogger(),
  addresses: paired.addresses,
  ports,
  workerBin,
});
await pool.start();
const router = await pool.worker(0)?.createRouter();
const offer = (await router?.createClientTransport(() => undefined))?.offer();
const own = Object.values(networkInterfaces()).flatMap((each) => each?.map(({ address }) => address));
for (const candidate of offer?.iceCandidates ?? []) {
  if (offer === undefined || candidate.protocol !== 'udp' || !own.includes(candidate.address)) continue;
  await checkCandidate(offer, candidate, from);
  process.stdout.write(`${candidate.address}\n`);
}
await pool.close();
