import { expect, it } from 'vitest';
import { MalformedRecords } from '../redis/malformed.ts';
import { LogOutput } from './log-output.ts';
import { createLogger } from './logging.ts';

it('[LC10] a line has each field once, and names the process that wrote it', () => {
  let text = '';
  const output = new LogOutput((data) => {
    text += Buffer.from(data).toString('utf8');
    return data.byteLength;
  });
  const identity = { kind: 'edge', id: 'edge-a', datacenter: 'gra' } as const;
  const logger = createLogger(identity, 'info', output);
  new MalformedRecords(logger).report('chat', () => 'no message');
  logger.warn({ kind: 'x', datacenter: 'sbg', peerId: 'ann' }, 'something');
  const lines = text.trimEnd().split('\n');
  for (const line of lines) expect(line.match(/"kind":|"id":|"datacenter":/g)).toHaveLength(3);
  expect(lines.map((line): unknown => JSON.parse(line))).toMatchObject([
    { ...identity, record: 'chat', detail: 'no message' },
    { ...identity, subjectKind: 'x', subjectDatacenter: 'sbg', peerId: 'ann' },
  ]);
});
