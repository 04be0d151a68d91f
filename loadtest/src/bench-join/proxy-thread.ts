/**
 * The delay proxy in a thread of its own. The benchmark's own thread is busy with Chromium's remote control at the very
 * moments that are measured, and packets that waited for it would look like a congested path to the publisher's bandwidth
 * estimate.
 */
import { once } from 'node:events';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { z } from 'zod';
import { ImpairmentProxy } from '../impairment/index.ts';
import type { Impairment, RelayedPort } from '../impairment/index.ts';
import { PacketWatch } from './packet-watch.ts';

const ENDPOINT = z.object({ host: z.string(), port: z.int() });
const OPTIONS = z.object({
  links: z.array(z.object({ protocol: z.enum(['udp', 'tcp']), listen: ENDPOINT, target: ENDPOINT })),
  impairment: z.object({ delayMs: z.number(), jitterMs: z.number(), lossRate: z.number() }),
});
const COMMAND = z.enum(['reset', 'read', 'close']);
/** The thread answers each command once, with the time of the first packets, in milliseconds since 1970. */
const ANSWER = z.object({ audio: z.number().optional(), video: z.number().optional() });

export type FirstPackets = z.infer<typeof ANSWER>;

/** The main thread's side. One command at a time. */
export class ProxyThread {
  readonly #worker: Worker;

  private constructor(worker: Worker) {
    this.#worker = worker;
  }

  /** @throws Error if the proxy cannot listen on one of the links */
  static async start(options: {
    readonly links: readonly RelayedPort[];
    readonly impairment: Impairment;
  }): Promise<ProxyThread> {
    const worker = new Worker(new URL(import.meta.url), { workerData: options });
    // `once` rejects when the thread fails instead.
    await once(worker, 'message');
    return new ProxyThread(worker);
  }

  /** Forgets the first packets, so that the next ones are the first. */
  async reset(): Promise<void> {
    await this.#command('reset');
  }

  firstPackets(): Promise<FirstPackets> {
    return this.#command('read');
  }

  async close(): Promise<void> {
    await this.#command('close');
    await this.#worker.terminate();
  }

  async #command(command: z.infer<typeof COMMAND>): Promise<FirstPackets> {
    const answered = once(this.#worker, 'message');
    this.#worker.postMessage(command);
    return ANSWER.parse((await answered)[0]);
  }
}

async function runThread(port: NonNullable<typeof parentPort>): Promise<void> {
  const packets = new PacketWatch();
  const proxy = await ImpairmentProxy.start({ ...OPTIONS.parse(workerData), onDelivered: packets.observe });
  const obey = async (message: unknown): Promise<void> => {
    const command = COMMAND.parse(message);
    if (command === 'reset') packets.reset();
    if (command === 'close') await proxy.close();
    port.postMessage(packets.first);
  };
  port.on('message', (message: unknown) => {
    obey(message).catch(fail);
  });
  port.postMessage(packets.first);
}

/** An error that ends the thread reaches the main thread as its `error` event. */
function fail(error: unknown): void {
  setImmediate(() => {
    throw error instanceof Error ? error : new Error(String(error));
  });
}

if (!isMainThread && parentPort !== null) runThread(parentPort).catch(fail);
