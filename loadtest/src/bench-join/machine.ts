import { existsSync, readFileSync } from 'node:fs';
import { cpus, loadavg, release } from 'node:os';
import { dirname, join } from 'node:path';
import { z } from 'zod';

export interface MachineInfo {
  readonly cores: number;
  readonly model: string;
  readonly node: string;
  readonly kernel: string;
  /** The load average of the minute before the run: above about 0.5, the figures are those of a busy machine. */
  readonly loadBefore: number;
  /** The worker's SRTP implementation, if its build tells: it has the greatest effect on the worker's speed. */
  readonly workerSrtp: string;
}

const WORKER_BUILD = z.looseObject({ srtp: z.string() });

export function describeMachine(): MachineInfo {
  const processors = cpus();
  return {
    cores: processors.length,
    model: processors[0]?.model ?? 'unknown',
    node: process.version,
    kernel: release(),
    loadBefore: loadavg()[0] ?? 0,
    workerSrtp: workerSrtp(process.env['MEDIASOUP_WORKER_BIN']),
  };
}

function workerSrtp(workerBin: string | undefined): string {
  if (workerBin === undefined) return "unknown (mediasoup's own prebuilt worker: OpenSSL)";
  const path = join(dirname(workerBin), 'worker-build.json');
  if (!existsSync(path)) return 'unknown (no worker-build.json beside the worker)';
  const build = WORKER_BUILD.safeParse(JSON.parse(readFileSync(path, 'utf8')));
  return build.success ? build.data.srtp : 'unknown (worker-build.json does not tell)';
}
