import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from './ports.ts';
import { waitFor } from './wait-for.ts';

/** A real Consul agent that a test started: a server of its own, on loopback, that keeps everything in memory. */
export interface TestConsul {
  /** For `CONSUL_HTTP_ADDR`. */
  readonly address: string;
  readonly datacenter: string;
  readonly wanPort: number;
  /** Asks the agent's HTTP interface; `path` begins with `/v1/`. @throws Error when it does not answer with success */
  ask(method: 'GET' | 'PUT' | 'DELETE', path: string, body?: unknown): Promise<unknown>;
  /** Joins another datacenter. Settles when each lists both. */
  joinWan(other: TestConsul): Promise<void>;
  /** Kills it as a crash would; `restart` brings an empty one back on the same ports. */
  kill(): Promise<void>;
  restart(): Promise<void>;
  stop(): Promise<void>;
}

interface AgentPorts {
  readonly http: number;
  readonly server: number;
  readonly lan: number;
  readonly wan: number;
}

export interface TestConsulOptions {
  /** Switches ACLs on, denying everything to who has no token; this one may do everything. A UUID. */
  readonly managementToken?: string;
}

/** Starts a real Consul agent and waits until it has elected itself. @throws Error with its output when it does not */
export async function startConsulAgent(
  datacenter = 'gra',
  { managementToken }: TestConsulOptions = {},
): Promise<TestConsul> {
  const [http, server, lan, wan] = [await freePort(), await freePort(), await freePort(), await freePort()];
  const ports: AgentPorts = { http, server, lan, wan };
  const folder = await mkdtemp(join(tmpdir(), 'plenary-consul-'));
  const address = `127.0.0.1:${http}`;
  const ask = async (method: 'GET' | 'PUT' | 'DELETE', path: string, body?: unknown): Promise<unknown> => {
    const response = await fetch(`http://${address}${path}`, {
      method,
      ...(managementToken === undefined ? {} : { headers: { 'X-Consul-Token': managementToken } }),
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`Consul answered ${response.status} to ${method} ${path}: ${text}`);
    return text === '' ? undefined : JSON.parse(text);
  };
  const args = agentArguments(datacenter, ports, managementToken);
  const isStarted = async (): Promise<boolean> => {
    // The node itself must be in the catalog too: sessions hang on its health.
    const nodes = await ask('GET', `/v1/health/node/consul-${datacenter}`).catch(() => []);
    return Array.isArray(nodes) && nodes.length > 0;
  };
  let agent = await startOn(args, folder, isStarted);
  const kill = async (): Promise<void> => {
    if (agent.exitCode !== null || agent.signalCode !== null) return;
    const exited = once(agent, 'exit');
    agent.kill('SIGKILL');
    await exited;
  };
  const started: TestConsul = {
    address,
    datacenter,
    wanPort: wan,
    ask,
    joinWan: async (other) => {
      await ask('PUT', `/v1/agent/join/127.0.0.1:${other.wanPort}?wan=1`);
      for (const side of [started, other]) {
        await waitFor(`${side.datacenter} to list both datacenters`, async () => {
          const listed = await side.ask('GET', '/v1/catalog/datacenters');
          return Array.isArray(listed) && listed.length === 2;
        });
      }
    },
    kill,
    restart: async () => {
      await kill();
      agent = await startOn(args, folder, isStarted);
    },
    stop: async () => {
      await kill();
      await rm(folder, { recursive: true, force: true });
    },
  };
  return started;
}

function agentArguments(
  datacenter: string,
  ports: AgentPorts,
  managementToken: string | undefined,
): string[] {
  const acl =
    managementToken === undefined
      ? ''
      : `acl { enabled = true default_policy = "deny" tokens { master = "${managementToken}" agent = "${managementToken}" } }`;
  return [
    ...['agent', '-dev', `-datacenter=${datacenter}`, `-node=consul-${datacenter}`, `-hcl=${acl}`],
    ...['-bind=127.0.0.1', '-client=127.0.0.1', '-log-level=warn', '-dns-port=-1', '-grpc-port=-1'],
    ...[`-http-port=${ports.http}`, `-server-port=${ports.server}`],
    ...[`-serf-lan-port=${ports.lan}`, `-serf-wan-port=${ports.wan}`],
  ];
}

async function startOn(
  args: readonly string[],
  folder: string,
  isStarted: () => Promise<boolean>,
): Promise<ChildProcess> {
  const agent = spawn('consul', args, { stdio: ['ignore', 'pipe', 'pipe'], cwd: folder });
  let output = '';
  let failure: Error | undefined;
  const read = (chunk: Buffer): void => {
    output = (output + chunk.toString('utf8')).slice(-10_000);
  };
  agent.stdout.on('data', read);
  agent.stderr.on('data', read);
  agent.once('error', (error) => {
    failure = error;
  });
  try {
    await waitFor('the Consul agent to have a leader', async () => {
      if (failure !== undefined) throw failure;
      if (agent.exitCode !== null) throw new Error('It ended.');
      return isStarted();
    });
  } catch (error) {
    agent.kill('SIGKILL');
    throw new Error(`consul did not start:\n${output}`, { cause: error });
  }
  return agent;
}
