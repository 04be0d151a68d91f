/** A cluster whose registry is in Consul, with and without a running Consul. */
import { startConsulAgent } from '@plenary/cluster/testing/consul-agent';
import type { TestConsul } from '@plenary/cluster/testing/consul-agent';
import { startLocalCluster } from '@plenary/deploy/local-cluster';
import type { LocalCluster } from '@plenary/deploy/local-cluster';
import type { Browser } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { launchChromium } from '@plenary/loadtest/browser';
import { isNothing, leftOver } from './harness/left-over.ts';
import { Participant } from './harness/participant.ts';
import { until } from './harness/until.ts';

describe('a cluster on Consul', () => {
  let consul: TestConsul;
  let cluster: LocalCluster;
  let browser: Browser;
  const people: Participant[] = [];

  beforeAll(async () => {
    consul = await startConsulAgent();
    const env = { CONSUL_HTTP_ADDR: consul.address, PLENARY_LOG_LEVEL: 'warn' };
    cluster = await startLocalCluster({ datacenters: ['gra'], env });
    browser = await launchChromium();
  });
  afterEach(async () => {
    await Promise.all(people.splice(0).map(async (person) => person.close()));
    await until('everything is freed', () => leftOver(cluster), isNothing);
  });
  afterAll(async () => {
    await browser.close();
    await cluster.stop();
    await consul.stop();
  });

  const everybody = () => [...cluster.edges, ...cluster.mediaNodes];

  async function enter(edgeIndex: number, name: string): Promise<Participant> {
    const edge = cluster.edges[edgeIndex];
    if (edge === undefined) throw new Error(`there is no edge ${edgeIndex}`);
    const person = await Participant.open(browser, edge.publicUrl, 'on-consul', name);
    people.push(person);
    await person.join();
    return person;
  }

  it('[CO5] [CO20] keeps its meetings while the local agent is down, reports it, and recovers when it is back', async () => {
    const services = await consul.ask('GET', '/v1/agent/services');
    expect(Object.keys(services ?? {})).toHaveLength(everybody().length);
    const [ann, bob] = [await enter(0, 'Ann'), await enter(1, 'Bob')];
    await Promise.all([ann.untilSeesAndHears(), bob.untilSeesAndHears()]);

    await consul.kill();
    const readings = async (path: string) =>
      Promise.all(
        everybody().map(async ({ id, operatorUrl }) => {
          const response = await fetch(`${operatorUrl}${path}`);
          return { id, status: response.status, body: await response.text() };
        }),
      );
    await until(
      'every process to report that Consul is down, and media nodes to refuse new peers',
      async () => readings('/ready'),
      (answers) =>
        answers.every(
          ({ id, status, body }) =>
            status === 503 &&
            body.includes('consul_unavailable') &&
            (id.startsWith('edge') || body.includes('lease_lapsed')),
        ),
    );
    expect((await readings('/health')).map(({ status }) => status)).toEqual([200, 200, 200, 200]);
    await Promise.all([ann.untilSeesAndHears(), bob.untilSeesAndHears()]);
    await Promise.all([ann.untilOthersAre(['Bob']), bob.untilOthersAre(['Ann'])]);

    await consul.restart();
    await until(
      'every process to be ready again',
      async () => readings('/ready'),
      (answers) => answers.every(({ status }) => status === 200),
    );
    const cleo = await enter(0, 'Cleo');
    await Promise.all([ann, bob, cleo].map(async (person) => person.untilSeesAndHears()));
    await bob.untilOthersAre(['Ann', 'Cleo']);
    await Promise.all([ann, bob, cleo].map(async (person) => person.leave()));
  });
});
