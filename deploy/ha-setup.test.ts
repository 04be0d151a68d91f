import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { safeParse } from 'zod';
import type { core } from 'zod';
import { EDGE_SETTINGS } from '../edge-signaling/src/config.ts';
import { CLOCK_LEEWAY_SECONDS } from '@plenary/cluster';
import { STOP_DEADLINE_MS as EDGE_STOP_DEADLINE_MS } from '../edge-signaling/src/lifecycle.ts';
import { reasonsAgainst } from '../edge-signaling/src/http/readiness.ts';
import { CONFIG_SCHEMA } from '../media-node/src/config.ts';
import { STOP_DEADLINE_MS } from '../media-node/src/lifecycle.ts';
import { reasonsAgainst as reasonsAgainstNode } from '../media-node/src/readiness.ts';

const root = join(import.meta.dirname, '..');
const text = readFileSync(join(root, 'HA_SETUP.md'), 'utf8');

interface Row {
  readonly name: string;
  readonly edge: string;
  readonly mediaNode: string;
  readonly fallback: string;
}

const rows: Row[] = [
  ...text.matchAll(/^\| `([A-Z_]+)` \| (yes|no) \| (yes|no) \| ([^|]+) \| [^|]+ \|$/gm),
].map(([, name = '', edge = '', mediaNode = '', fallback = '']) => ({ name, edge, mediaNode, fallback }));

interface Settings {
  readonly shape: Readonly<Record<string, core.$ZodType>>;
}

/** The value that a schema gives an absent variable. */
function absent(schema: Settings, name: string): { readonly required: boolean; readonly value: unknown } {
  const field = schema.shape[name];
  if (field === undefined) throw new Error(`no setting ${name}`);
  const parsed = safeParse(field, undefined);
  return { required: !parsed.success, value: parsed.data };
}

describe('the figures of HA_SETUP.md', () => {
  const words = text.replaceAll(/\s+/g, ' ');

  it('[TK7] say by how much clocks may differ', () => {
    expect(words).toContain(
      `a clock that differs by more than ${CLOCK_LEEWAY_SECONDS} seconds may be refused`,
    );
  });

  it('[LC1] say how long a stop takes after the drain, and let whatever kills processes wait for both', () => {
    const drainMs = Number(absent(CONFIG_SCHEMA, 'PLENARY_DRAIN_MS').value);
    const stopSeconds = STOP_DEADLINE_MS / 1_000;
    expect(words).toContain(
      `(${drainMs / 1_000} s) at most, and then stops, which may take ${stopSeconds} s more`,
    );
    expect(words).toContain(
      `${EDGE_STOP_DEADLINE_MS / 1_000} s at most for an edge, ${stopSeconds} s for a media node`,
    );
    const graces = [...words.matchAll(/(?:stop-timeout |stop_grace_period: |GracePeriodSeconds: )(\d+)/g)];
    expect(graces.length).toBeGreaterThan(2);
    for (const [said, seconds] of graces)
      expect(Number(seconds) * 1_000, said).toBeGreaterThanOrEqual(drainMs + STOP_DEADLINE_MS);
  });
});

describe('the table of environment variables in HA_SETUP.md', () => {
  it.each([
    ['edge', EDGE_SETTINGS],
    ['mediaNode', CONFIG_SCHEMA],
  ] as const)('names exactly the settings of the %s', (column, schema: Settings) => {
    const told = rows.filter((row) => row[column] === 'yes').map(({ name }) => name);
    expect(told.sort()).toEqual(Object.keys(schema.shape).sort());
  });

  it.each([
    ['edge', EDGE_SETTINGS],
    ['mediaNode', CONFIG_SCHEMA],
  ] as const)('tells what is required and the defaults of the %s', (column, schema: Settings) => {
    for (const { name, fallback } of rows.filter((row) => row[column] === 'yes')) {
      const { required, value } = absent(schema, name);
      const told = ['required', `required: ${column === 'edge' ? 'edges' : 'media nodes'}`];
      expect(told.includes(fallback), name).toBe(required);
      if (typeof value === 'boolean') expect(fallback, name).toBe(value ? '`on`' : '`off`');
      if (typeof value === 'number' || typeof value === 'string') expect(fallback, name).toBe(`\`${value}\``);
    }
  });

  it('has each variable once', () => {
    expect(rows.length).toBeGreaterThan(20);
    expect(new Set(rows.map(({ name }) => name)).size).toBe(rows.length);
  });
});

describe('the reasons of `/ready` in HA_SETUP.md', () => {
  const lines = text.split('\n').filter((line) => / \| (?:edge|media node|both) \| /.test(line));
  const told = new Set(
    lines.flatMap((line) =>
      [...(line.split(' | ')[0] ?? '').matchAll(/`([a-z_]+)`/g)].map(([, name]) => name),
    ),
  );

  it('are all that an edge may give', () => {
    const reasons = reasonsAgainst({
      isStoreAvailable: () => false,
      storeTrouble: () => 'no_connection',
      pubSubTrouble: () => 'no_connection',
      isPubSubBetterElsewhere: () => true,
      isConsulMissed: () => true,
      consulTrouble: () => 'no_answer',
      liveMediaNodes: () => 0,
      unusableLinks: () => ['lost'],
      isClockOff: () => true,
      isStopping: () => true,
      isDraining: () => true,
      isIdTaken: () => true,
    });
    expect(reasons.filter((reason) => !told.has(reason))).toEqual([]);
  });

  it('are all that a media node may give', () => {
    const own = reasonsAgainstNode({
      isStopping: true,
      isDraining: true,
      isStoreAvailable: false,
      isConsulAvailable: false,
      leaseMissing: undefined,
      workersAlive: 0,
      isSurelyUnreached: true,
      isUnlinked: true,
      storeTrouble: undefined,
      consulTrouble: undefined,
    });
    const [lease = '', slice = ''] = ['lease-keeper.ts', 'slice-claim.ts'].map((name) =>
      readFileSync(join(root, 'media-node/src', name), 'utf8'),
    );
    const inLease = /missing\(\): string[^]*?\n {2}\}/.exec(lease)?.[0] ?? '';
    const inSlice = [...slice.matchAll(/onWaiting\('[^']+'/g)].join('\n');
    const others = [...`${inLease}${inSlice} 'starting'`.matchAll(/['`]([a-z_]{6,})(?=[:'`])/g)];
    const reasons = [...own, ...others.map(([, reason = '']) => reason)];
    expect(reasons.length).toBeGreaterThan(9);
    expect(reasons.filter((reason) => !told.has(reason))).toEqual([]);
  });
});

describe('HA_SETUP.md', () => {
  it('mentions no setting that no process has', () => {
    const known = new Set([...Object.keys(EDGE_SETTINGS.shape), ...Object.keys(CONFIG_SCHEMA.shape)]);
    const caddy = readFileSync(join(root, 'Caddyfile.ha.example'), 'utf8');
    for (const [name] of text.matchAll(/\bPLENARY_[A-Z_]*[A-Z]\b/g)) {
      const plain = name.replace(/_FILE$/, '');
      // The examples of what Kubernetes injects for a service.
      if (/^PLENARY_EDGE_(SERVICE_HOST|PORT)$/.test(name)) continue;
      expect(known.has(plain) || known.has(name) || caddy.includes(`{$${plain}:`), name).toBe(true);
    }
  });

  it('names only files that exist', () => {
    for (const [, path = ''] of text.matchAll(/\b((?:deploy|e2e|cluster)\/[\w./-]+\.\w+)/g)) {
      expect(existsSync(join(root, path)), path).toBe(true);
    }
  });
});
