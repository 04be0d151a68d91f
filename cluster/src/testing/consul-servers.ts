import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from './ports.ts';
import { waitFor } from './wait-for.ts';

const SERVERS = 3;

/** Three real Consul servers of one datacenter, on loopback, that elect a leader among them. */
export interface TestConsulServers {
  /** Of the one that is never killed, for `CONSUL_HTTP_ADDR`. */
  readonly address: string;
  /** Whether the servers have a leader. */
  hasLeader(): Promise<boolean>;
  /** Kills two of the three, so that there can be no leader. Settles when the third knows it. */
  killMost(): Promise<void>;
  /** Brings the two back, with their data. */
  restart(): Promise<void>;
  stop(): Promise<void>;
}

/** @param elect - whether all are started, so that they elect a leader; else only one is */
export async function startConsulServers(elect = true): Promise<TestConsulServers> {
  const folder = await mkdtemp(join(tmpdir(), 'plenary-consul-servers-'));
  const ports: { http: number; server: number; lan: number; wan: number }[] = [];
  for (let index = 0; index < SERVERS; index += 1)
    ports.push({
      http: await freePort(),
      server: await freePort(),
      lan: await freePort(),
      wan: await freePort(),
    });
  const joins = ports.map(({ lan }) => `-retry-join=127.0.0.1:${lan}`);
  const launch = (index: number): ChildProcess => {
    const { http = 0, server = 0, lan = 0, wan = 0 } = ports[index] ?? {};
    const args = [
      ...['agent', '-server', `-bootstrap-expect=${SERVERS}`, '-datacenter=gra', `-node=consul-${index}`],
      ...[
        `-data-dir=${join(folder, String(index))}`,
        '-bind=127.0.0.1',
        '-client=127.0.0.1',
        '-log-level=err',
      ],
      ...['-dns-port=-1', '-grpc-port=-1', `-http-port=${http}`, `-server-port=${server}`],
      ...[`-serf-lan-port=${lan}`, `-serf-wan-port=${wan}`, '-retry-interval=1s', ...joins],
      '-hcl=performance { raft_multiplier = 1 } connect { enabled = false } leave_on_terminate = false',
    ];
    return spawn('consul', args, { stdio: 'ignore', cwd: folder });
  };
  const kill = async (server: ChildProcess): Promise<void> => {
    if (server.exitCode !== null || server.signalCode !== null) return;
    const exited = once(server, 'exit');
    server.kill('SIGKILL');
    await exited;
  };
  const servers = ports.slice(0, elect ? SERVERS : 1).map((_, index) => launch(index));
  const address = `127.0.0.1:${ports[0]?.http ?? 0}`;
  const hasLeader = async (): Promise<boolean> => {
    const answer = await fetch(`http://${address}/v1/status/leader`).catch(() => undefined);
    return answer?.ok === true && (await answer.text()).length > '""'.length;
  };
  const isRegistered = async (): Promise<boolean> => {
    // Sessions hang on the health of the node itself, which is there a moment later than the leader.
    const answer = await fetch(`http://${address}/v1/health/node/consul-0`).catch(() => undefined);
    return answer?.ok === true && (await answer.text()).includes('serfHealth');
  };
  const restart = async (): Promise<void> => {
    for (let index = 1; index < SERVERS; index += 1) servers[index] = launch(index);
    await waitFor('the Consul servers to have a leader', async () => (await hasLeader()) && isRegistered());
  };
  const stop = async (): Promise<void> => {
    await Promise.all(servers.map(kill));
    await rm(folder, { recursive: true, force: true });
  };
  try {
    if (elect)
      await waitFor('the Consul servers to have a leader', async () => (await hasLeader()) && isRegistered());
    else
      await waitFor('the Consul server to answer', async () =>
        fetch(`http://${address}/v1/agent/self`).then(
          ({ ok }) => ok,
          () => false,
        ),
      );
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    address,
    hasLeader,
    killMost: async () => {
      await Promise.all(servers.slice(1).map(kill));
      await waitFor('the leader to be lost', async () => !(await hasLeader()));
    },
    restart,
    stop,
  };
}
