import { createSocket } from 'node:dgram';
import { describe, expect, test } from 'vitest';
import { checkSlice } from './port-checks.ts';
import { ephemeralFault, parsePortRanges, planPorts } from './port-plan.ts';
import { restartDelayMs } from './worker-pool.ts';
import { selectWorker } from './select-worker.ts';

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

  test('[PO2] ranges are read as Linux writes them', () => {
    expect(parsePortRanges('8080,9148-9200\n')).toEqual([slice(8080, 8080), slice(9148, 9200)]);
    expect(parsePortRanges('\n')).toEqual([]);
  });

  test('[PO3] a port that is taken is named', async () => {
    const socket = createSocket('udp4');
    const taken = 12_345;
    await new Promise<void>((resolve) => {
      socket.bind(taken, '127.0.0.1', resolve);
    });
    const result = await checkSlice(slice(12_340, 12_359), 1, '127.0.0.1');
    expect(result).toEqual({ fault: `UDP port ${taken} on 127.0.0.1 is taken by another process` });
    await new Promise<void>((resolve) => {
      socket.close(resolve);
    });
    expect(await checkSlice(slice(12_340, 12_359), 1, '127.0.0.1')).toHaveProperty('webRtcPorts', [12_340]);
  });
});

describe('workers', () => {
  test('[WK5] a room stays on its worker up to the limit, then spreads to the least loaded', () => {
    const worker = (index: number, roomPeers: number, peers = roomPeers, cpu = 0.1) => ({
      index,
      cpu,
      peers,
      roomPeers,
    });
    expect(selectWorker([])).toBeUndefined();
    expect(selectWorker([worker(0, 0, 9), worker(1, 0, 3)])).toEqual({ index: 1, reason: 'least_loaded' });
    expect(selectWorker([worker(0, 9), worker(1, 0)])).toEqual({ index: 0, reason: 'packed' });
    expect(selectWorker([worker(0, 9), worker(1, 12)])).toEqual({ index: 1, reason: 'packed' });
    expect(selectWorker([worker(0, 50), worker(1, 0)])).toEqual({ index: 1, reason: 'least_loaded' });
    expect(selectWorker([worker(0, 9, 9, 0.9), worker(1, 0)])).toEqual({ index: 1, reason: 'least_loaded' });
  });

  test('[WK6] a worker that dies again and again is restarted less and less often', () => {
    expect([1, 2, 3, 4, 20].map(restartDelayMs)).toEqual([100, 200, 400, 800, 10_000]);
  });
});
