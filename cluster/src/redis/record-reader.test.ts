import { describe, expect, it } from 'vitest';
import { edgeRecord } from '../testing/samples.ts';
import { EDGE_RECORD } from '../registry/registry.ts';
import { MAX_RECORDS } from '../registry/reading.ts';
import { RecordReader } from './record-reader.ts';

/** Gives records as `listLive` does: the known ones first, then others from a place on, round and round. */
function listed(names: readonly string[], most: number, known: readonly string[], from: number): unknown {
  const start = from % names.length;
  const others = [...names.slice(start), ...names.slice(0, start)].filter((name) => !known.includes(name));
  const all = [...known.filter((name) => names.includes(name)), ...others];
  const texts = all.slice(0, most).map((name) => JSON.stringify(RECORDS.get(name)));
  return [0, Math.max(0, all.length - most), ...texts];
}

const FORGED = Array.from({ length: MAX_RECORDS + 200 }, (_, index) => `aa-${index}`);
const RECORDS = new Map([...FORGED, 'first', 'late'].map((name) => [name, edgeRecord(name)]));

describe('RecordReader', () => {
  it('[EN42] reads all records in turn even if there are more known forgeries than it reads, and keeps the first ones', async () => {
    const reader = new RecordReader(
      EDGE_RECORD,
      ({ edgeId }) => edgeId,
      () => undefined,
    );
    const read = async (names: readonly string[]): Promise<readonly string[]> => {
      const records = await reader.read(({ most, known, from }) =>
        Promise.resolve(listed(names, Number(most), known === '' ? [] : known.split(','), Number(from))),
      );
      return records.map(({ edgeId }) => edgeId);
    };
    expect(await read(['first'])).toEqual(['first']);
    await read([...FORGED, 'first']);
    let met = 0;
    // Each reading meets a hundred places at least.
    for (let reading = 0; reading < 14; reading += 1) {
      const names = await read([...FORGED, 'late', 'first']);
      expect(names).toContain('first');
      expect(names.length).toBeLessThanOrEqual(MAX_RECORDS);
      if (names.includes('late')) met += 1;
    }
    expect(met).toBeGreaterThan(0);
  });
});
