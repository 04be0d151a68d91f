import { execFileSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { readFileSync } from 'node:fs';
import { createServer, isIPv6 } from 'node:net';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { findPortFault } from './port-checks.ts';
import { ephemeralFault, loneLowPort, parsePortRanges, planPorts } from './port-plan.ts';
import { restartDelayMs } from './worker-pool.ts';
import { selectWorker } from './select-worker.ts';

const PORT_FAULT = z.object({ taken: z.boolean(), message: z.string() });
const slice = (firstPort: number, lastPort: number) => ({ firstPort, lastPort });

describe('the port slice', () => {
  test('[PO1] one port per worker, the rest for pipes', () => {
    expect(planPorts(slice(20_000, 20_099), 2)).toEqual({
      webRtcPorts: [20_000, 20_001],
      pipePorts: { min: 20_002, max: 20_099 },
    });
    expect(planPorts(slice(20_000, 20_009), 2)).not.toHaveProperty('fault');
    expect(planPorts(slice(20_000, 20_008), 2)).toHaveProperty('fault');
  });

  test.each([
    ['32768 60999', '', slice(20_000, 20_099), undefined],
    ['32768 60999', '', slice(32_700, 32_799), 32_768],
    ['32768\t60999\n', '32768-32799\n', slice(32_700, 32_799), undefined],
    ['32768 60999', '32768-32780,32782', slice(32_770, 32_785), 32_781],
    ['1024 65535', '', slice(20_000, 20_099), 20_000],
    ['nonsense', '', slice(20_000, 20_099), undefined],
  ])('[PO2] with ephemeral ports %j and reserved ones %j', (ephemeral, reserved, given, port) => {
    const fault = ephemeralFault(given, ephemeral, reserved);
    if (port === undefined) expect(fault).toBeUndefined();
    else expect(fault).toContain(`port ${port} `);
  });

  test('[PO2] ranges are parsed as Linux writes them', () => {
    expect(parsePortRanges('8080,9148-9200\n')).toEqual([slice(8080, 8080), slice(9148, 9200)]);
    expect(parsePortRanges('\n')).toEqual([]);
  });

  test('[PO2] names the ports to reserve beside those reserved already', () => {
    expect(ephemeralFault(slice(40_000, 49_999), '32768 60999', '33000-33010\n')).toContain(
      'sysctl -w net.ipv4.ip_local_reserved_ports=33000-33010,40000-49999',
    );
  });

  test.each([
    ['127.0.0.1', '127.0.0.1'],
    ['127.0.0.1', '0.0.0.0'],
    ['0.0.0.0', '127.0.0.1'],
    ['::1', '::1'],
    ['::1', '::'],
  ])('[PO3] a UDP port taken on %s blocks %s, and its process is named', async (holds, wants) => {
    const socket = createSocket(isIPv6(holds) ? 'udp6' : 'udp4');
    const taken = 12_345;
    await new Promise<void>((resolve) => {
      socket.bind(taken, holds, resolve);
    });
    const fault = await findPortFault(slice(12_340, 12_359), [12_340], [wants]);
    expect(fault?.taken).toBe(true);
    expect(fault?.message).toContain(`UDP port ${taken} on ${wants} is taken by process ${process.pid} (`);
    await new Promise<void>((resolve) => {
      socket.close(resolve);
    });
    expect(await findPortFault(slice(12_340, 12_359), [12_340], [wants])).toBeUndefined();
  });

  test('[PO3] every address is tried, and TCP only on the WebRTC ports', async () => {
    const servers = [createServer(), createServer()];
    const [webRtc, pipe] = [12_360, 12_365];
    await Promise.all(
      servers.map(
        (server, index) =>
          new Promise<void>((resolve) => {
            server.listen(index === 0 ? pipe : webRtc, '127.0.0.2', resolve);
          }),
      ),
    );
    expect(await findPortFault(slice(12_360, 12_379), [webRtc], ['127.0.0.1'])).toBeUndefined();
    const fault = await findPortFault(slice(12_360, 12_379), [webRtc], ['127.0.0.1', '127.0.0.2']);
    expect(fault?.message).toContain(`TCP port ${webRtc} on 127.0.0.2 is taken by process ${process.pid}`);
    await Promise.all(
      servers.map(
        (server) =>
          new Promise<void>((resolve) => {
            server.close(() => {
              resolve();
            });
          }),
      ),
    );
  });

  test('[AD29] warns about a port below 1024 that only the first of several workers has, with the remedy', () => {
    expect(loneLowPort([443, 444])).toMatch(
      /^only the first worker has port 443, .* 444: .*PLENARY_WORKERS=1/,
    );
    for (const fine of [[], [443], [20_000, 20_001]]) expect(loneLowPort(fine)).toBeUndefined();
  });

  const isRoot = process.getuid?.() === 0;
  const firstFreePort = Number(readFileSync('/proc/sys/net/ipv4/ip_unprivileged_port_start', 'utf8'));

  test.runIf(isRoot || firstFreePort <= 1_012)(
    '[AD1] a port below 1024 that the user may bind is accepted',
    async () => {
      expect(await findPortFault(slice(1_012, 1_022), [1_012], ['127.0.0.1'])).toBeUndefined();
    },
  );

  // To become another user takes root, and a machine may let everybody bind every port.
  test.runIf(isRoot && firstFreePort > 1)(
    '[AD11] for a port that the user may not bind, the remedy is named',
    () => {
      const checks = new URL('port-checks.ts', import.meta.url).href;
      const asNobody = `
      import { findPortFault } from ${JSON.stringify(checks)};
      process.setgroups([65534]); process.setgid(65534); process.setuid(65534);
      const fault = await findPortFault({ firstPort: 1, lastPort: 2 }, [], ['127.0.0.1']);
      console.log(JSON.stringify(fault));`;
      const said = execFileSync(process.execPath, ['--input-type=module-typescript', '-e', asNobody], {
        encoding: 'utf8',
      });
      const fault = PORT_FAULT.parse(JSON.parse(said));
      expect(fault.taken).toBe(false);
      expect(fault.message).toMatch(
        /^UDP port 1 on 127\.0\.0\.1 may not be bound.*ip_unprivileged_port_start=1 .*CAP_NET_BIND_SERVICE/,
      );
    },
  );

  test('[PO4] an address that this machine does not have is reported differently from a taken port', async () => {
    const fault = await findPortFault(slice(12_380, 12_389), [], ['192.0.2.1']);
    expect(fault).toMatchObject({ taken: false });
    expect(fault?.message).toContain('UDP port 12380 on 192.0.2.1 cannot be bound');
  });
});

describe('workers', () => {
  test('[WK5] a room stays on its worker up to the limit, then spreads to the least loaded', () => {
    const worker = (index: number, roomPeers: number, recentPeers = roomPeers, cpu = 0.1) => ({
      index,
      cpu,
      recentPeers,
      roomPeers,
    });
    expect(selectWorker([])).toBeUndefined();
    expect(selectWorker([worker(0, 0, 9), worker(1, 0, 3)])).toEqual({ index: 1, reason: 'least_loaded' });
    expect(selectWorker([worker(0, 9), worker(1, 0)])).toEqual({ index: 0, reason: 'packed' });
    expect(selectWorker([worker(0, 9), worker(1, 12)])).toEqual({ index: 1, reason: 'packed' });
    expect(selectWorker([worker(0, 50), worker(1, 0)])).toEqual({ index: 1, reason: 'least_loaded' });
    expect(selectWorker([worker(0, 9, 9, 0.9), worker(1, 0)])).toEqual({ index: 1, reason: 'least_loaded' });
    // People whose load was measured count by it alone: many quiet ones are less than a few busy ones.
    const [manyQuiet, fewBusy] = [worker(0, 0, 0, 0.2), worker(1, 0, 0, 0.5)];
    expect(selectWorker([fewBusy, manyQuiet])).toEqual({ index: 0, reason: 'least_loaded' });
    // Those whose load was not measured yet count beside it: neither figure alone decides.
    const [idleAndFull, busyAndEmpty] = [worker(0, 0, 40, 0.2), worker(1, 0, 0, 0.5)];
    expect(selectWorker([idleAndFull, busyAndEmpty])).toEqual({ index: 1, reason: 'least_loaded' });
  });

  test('[WK6] a worker that keeps dying is restarted at growing intervals', () => {
    expect([1, 2, 3, 4, 20].map(restartDelayMs)).toEqual([100, 200, 400, 800, 10_000]);
  });
});
