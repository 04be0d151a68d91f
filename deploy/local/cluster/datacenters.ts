import { execFile, spawnSync } from 'node:child_process';
import { createServer } from 'node:net';
import type { Server } from 'node:net';
import { promisify } from 'node:util';
import { z } from 'zod';
import { BLOCKS, blockName, linkTo, planDatacenters } from './datacenter-plan.ts';
import type { Cabling, DatacenterPlan, DatacenterSize, Direction } from './datacenter-plan.ts';
import { LocalClusterError } from './errors.ts';
import type { ProcessOverrides } from './options.ts';

const run = promisify(execFile);

const NAMED = z.array(z.object({ name: z.string() }));
const INTERFACES = z.array(z.object({ ifname: z.string() }));
const COUNTERS = z
  .array(z.object({ stats64: z.object({ tx: z.object({ bytes: z.int(), packets: z.int() }) }) }))
  .length(1);

/** The packets and bytes that crossed a link since it was created, as the kernel counts them: with Ethernet, IP and UDP headers. */
export interface LinkCounters {
  readonly bytes: number;
  readonly packets: number;
}

/** The namespace and addresses of a process. */
export type ProcessPlace = Required<Pick<ProcessOverrides, 'datacenter' | 'namespace' | 'host'>>;

/** The priority of the routing rules that drop packets, before every route to others. */
const SILENCE_PREFERENCE = 100;

/** Ethernet (14), IPv4 (20) and UDP (8) headers of each packet that a link counts. */
export const LINK_HEADER_BYTES = 42;

/**
 * Datacenters on this machine: network namespaces with links between them whose bytes the kernel counts. For a cluster,
 * hand `hostAddress` and `mediaNode` to `startLocalCluster`. Linux only, as root.
 *
 * They are removed by `remove` and when this process ends by itself. What a killed process left is removed by the next one
 * that makes datacenters: each set is locked by a socket, which ends with its process however that ends.
 */
export class LocalDatacenters {
  readonly #plan: DatacenterPlan;
  readonly #block: number;
  readonly #lock: Server;
  readonly #removeNow = () => {
    const input = removal(
      [...this.#plan.namespaceCommands.keys()],
      this.#hostEnds.concat(blockName(this.#block)),
    ).join('\n');
    spawnSync('ip', ['-force', '-batch', '-'], { input, stdio: ['pipe', 'ignore', 'ignore'] });
  };

  private constructor(block: number, lock: Server, plan: DatacenterPlan) {
    this.#block = block;
    this.#lock = lock;
    this.#plan = plan;
    process.on('exit', this.#removeNow);
  }

  /**
   * @param options - `apart`: nothing gets from one to another but what somebody in the namespace `between` carries over,
   *   who may be slow at it, or lose some
   * @throws LocalClusterError when this machine cannot make them; nothing is left of them then
   */
  static async create(
    sizes: readonly DatacenterSize[],
    options: { readonly apart?: boolean } = {},
  ): Promise<LocalDatacenters> {
    const { block, lock } = await takeBlock();
    try {
      const datacenters = new LocalDatacenters(block, lock, planDatacenters(block, sizes, options.apart));
      try {
        await datacenters.#make();
      } catch (error) {
        await datacenters.remove();
        throw error;
      }
      return datacenters;
    } catch (error) {
      lock.close();
      throw error;
    }
  }

  /** This machine's address in the datacenters: for Redis, edges and clients. */
  get hostAddress(): string {
    return this.#plan.hostAddress;
  }

  /**
   * The namespace between datacenters that are apart. Every media and control address of theirs is its own: what media
   * nodes send each other is received there by who is bound to the address and port of the receiver, and goes on when it is
   * sent again from the address and port of the sender. A connection from there to a control address ends at the node itself.
   */
  get between(): string | undefined {
    return this.#plan.between;
  }

  get mediaNodeCount(): number {
    return this.#plan.mediaNodes.length;
  }

  /** How the media node of this index, from 0, is started in its place. @throws LocalClusterError when there is no place */
  readonly mediaNode = (index: number): ProcessOverrides => {
    const place = this.#plan.mediaNodes[index];
    if (place === undefined)
      throw new LocalClusterError(
        `The datacenters have ${this.mediaNodeCount} media nodes, no number ${index}.`,
      );
    const { datacenter, namespace, controlAddress, mediaAddress } = place;
    return {
      datacenter,
      namespace,
      host: controlAddress,
      listenIp: mediaAddress,
      announcedAddress: mediaAddress,
    };
  };

  /** How a process that is no media node is started in a datacenter. @throws LocalClusterError when there is none */
  place(datacenter: string): ProcessPlace {
    const { namespace, controlAddress: host } = this.#cablingOf(datacenter);
    return { datacenter, namespace, host };
  }

  /**
   * Sets every cable of a datacenter down: nothing gets in or out, and nobody is notified. A second cut changes nothing.
   * @throws LocalClusterError when there is no such datacenter
   */
  async cut(datacenter: string): Promise<void> {
    const { namespace, cut, cutOnHost } = this.#cablingOf(datacenter);
    await ipBatch([], cutOnHost);
    await ipBatch(['-n', namespace], cut);
  }

  /** Sets the cables up again. @throws LocalClusterError if there is no such datacenter */
  async mend(datacenter: string): Promise<void> {
    const { namespace, mend, mendOnHost } = this.#cablingOf(datacenter);
    await ipBatch(['-n', namespace], mend);
    await ipBatch([], mendOnHost);
  }

  /**
   * Gives this machine, where clients are, another address instead of its own, as when somebody goes from Wi-Fi to a mobile
   * network: what is sent to the old one arrives nowhere, and nobody is told.
   */
  async moveHost(): Promise<void> {
    await ipBatch([], this.#plan.hostMoves.there);
  }

  /** Gives this machine its own address back. */
  async moveHostBack(): Promise<void> {
    await ipBatch([], this.#plan.hostMoves.back);
  }

  /**
   * Drops what a datacenter sends in one direction: it still gets what is sent to it, and cannot answer.
   * @throws LocalClusterError when there is no such datacenter, or it is silent in this direction already
   */
  async silence(datacenter: string, direction: Direction): Promise<void> {
    await this.#setSilence('add', datacenter, direction);
  }

  /** Ends what {@link silence} began. @throws LocalClusterError when it had not */
  async endSilence(datacenter: string, direction: Direction): Promise<void> {
    await this.#setSilence('del', datacenter, direction);
  }

  async #setSilence(change: 'add' | 'del', datacenter: string, direction: Direction): Promise<void> {
    const { namespace, towards } = this.#cablingOf(datacenter);
    const lines = towards[direction].map(
      (to) => `rule ${change} to ${to} blackhole pref ${SILENCE_PREFERENCE}`,
    );
    await ipBatch(['-n', namespace], lines);
  }

  /** The bytes and packets that media nodes of one datacenter sent to those of another. @throws LocalClusterError if there is no such link */
  async sent(from: string, to: string): Promise<LinkCounters> {
    const { namespace } = this.#cablingOf(from);
    const answer = await ip(['-n', namespace, '-j', '-s', 'link', 'show', 'dev', linkTo(to)]);
    const [counters] = COUNTERS.parse(JSON.parse(answer));
    return { bytes: counters?.stats64.tx.bytes ?? 0, packets: counters?.stats64.tx.packets ?? 0 };
  }

  /** Removes the datacenters. Their processes must have ended. May be called twice. */
  async remove(): Promise<void> {
    process.off('exit', this.#removeNow);
    await removeBlock(this.#block);
    await new Promise<void>((resolve) => this.#lock.close(() => resolve()));
  }

  #cablingOf(datacenter: string): Cabling {
    const cabling = this.#plan.cabling.get(datacenter);
    if (cabling === undefined) throw new LocalClusterError(`There is no datacenter ${datacenter}.`);
    return cabling;
  }

  get #hostEnds(): string[] {
    // The first is that of the namespace between, where there is one.
    return Array.from(
      { length: this.#plan.cabling.size + 1 },
      (_, number) => `${blockName(this.#block)}-${number}`,
    );
  }

  async #make(): Promise<void> {
    const { hostCommands, namespaceCommands } = this.#plan;
    await ipBatch([], hostCommands);
    for (const [namespace, commands] of namespaceCommands) {
      // IPv6 would announce itself on the links, and be counted.
      await ip(['netns', 'exec', namespace, 'sh', '-c', DISABLE_IPV6]);
      // An address counts as an interface's own only where it is set on it: nobody in between answers ARP for the others.
      await ip(['netns', 'exec', namespace, 'sh', '-c', ANSWER_ARP_FOR_OWN_ONLY]);
      await ipBatch(['-n', namespace], commands);
    }
  }
}

const DISABLE_IPV6 =
  'for of in all default; do f=/proc/sys/net/ipv6/conf/$of/disable_ipv6; [ ! -e $f ] || echo 1 > $f; done';

const ANSWER_ARP_FOR_OWN_ONLY = 'echo 1 > /proc/sys/net/ipv4/conf/all/arp_ignore';

/** The reason why this machine cannot create datacenters, or `undefined` if it can. */
export async function whyNoDatacenters(): Promise<string | undefined> {
  const namespace = `plenary-probe-${process.pid}`;
  try {
    await ip(['netns', 'add', namespace]);
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
  try {
    await ip(['-n', namespace, 'link', 'add', 'here', 'type', 'veth', 'peer', 'name', 'there']);
    await ip(['-n', namespace, 'link', 'add', 'bridge', 'type', 'bridge']);
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  } finally {
    await ip(['netns', 'delete', namespace]);
  }
}

/** Reserves a block that no live process has, and removes what dead processes left. */
async function takeBlock(): Promise<{ readonly block: number; readonly lock: Server }> {
  const names = await everyName();
  let taken: { readonly block: number; readonly lock: Server } | undefined;
  for (let block = 0; block < BLOCKS; block += 1) {
    const hasLeftovers = names.some((name) => isOfBlock(name, block));
    if (taken !== undefined && !hasLeftovers) continue;
    const lock = await tryLock(block);
    if (lock === undefined) continue;
    if (hasLeftovers) await removeBlock(block);
    if (taken === undefined) taken = { block, lock };
    else lock.close();
  }
  if (taken === undefined)
    throw new LocalClusterError(`All ${BLOCKS} sets of datacenters of this machine are taken.`);
  return taken;
}

/** @returns undefined if a live process has it */
function tryLock(block: number): Promise<Server | undefined> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => socket.destroy());
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE') resolve(undefined);
      else reject(error);
    });
    // An abstract socket of Linux: no file of it can be left.
    server.listen({ path: `\0plenary-datacenters-${block}` }, () => {
      server.unref();
      resolve(server);
    });
  });
}

async function removeBlock(block: number): Promise<void> {
  const ofBlock = (name: string): boolean => isOfBlock(name, block);
  const [namespaces, interfaces] = [await namespaceNames(), await interfaceNames()];
  await ipBatch([], removal(namespaces.filter(ofBlock), interfaces.filter(ofBlock)));
}

function removal(namespaces: readonly string[], interfaces: readonly string[]): string[] {
  return [
    // A namespace exists as long as a process in it runs; its cables to the host are cut at once.
    ...interfaces.map((name) => `link delete ${name}`),
    ...namespaces.map((name) => `netns delete ${name}`),
  ];
}

function isOfBlock(name: string, block: number): boolean {
  return name === blockName(block) || name.startsWith(`${blockName(block)}-`);
}

async function everyName(): Promise<string[]> {
  return [...(await namespaceNames()), ...(await interfaceNames())];
}

async function namespaceNames(): Promise<string[]> {
  const answer = await ip(['-j', 'netns', 'list']);
  // Without any it prints nothing, not even brackets.
  return NAMED.parse(answer.trim() === '' ? [] : JSON.parse(answer)).map(({ name }) => name);
}

async function interfaceNames(): Promise<string[]> {
  return INTERFACES.parse(JSON.parse(await ip(['-j', 'link', 'show']))).map(({ ifname }) => ifname);
}

async function ipBatch(options: readonly string[], commands: readonly string[]): Promise<void> {
  const running = run('ip', [...options, '-batch', '-']);
  running.child.stdin?.end(`${commands.join('\n')}\n`);
  await running.catch(explain);
}

async function ip(args: readonly string[]): Promise<string> {
  return (await run('ip', args).catch(explain)).stdout;
}

function explain(error: unknown): never {
  const { stderr, message } = z.object({ stderr: z.string().default(''), message: z.string() }).parse(error);
  const reason = stderr.trim().split('\n').join('; ');
  throw new LocalClusterError(
    `Network namespaces cannot be made or used here, which takes Linux, root and \`ip\` (iproute2): ${reason === '' ? message : reason}`,
  );
}
