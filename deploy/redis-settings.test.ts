import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';

const folder = join(import.meta.dirname, 'redis');
const howto = readFileSync(join(import.meta.dirname, '..', 'HA_SETUP.md'), 'utf8');

/** The settings of a file by name, without its comments. */
function settingsOf(file: string): ReadonlyMap<string, string> {
  const lines = readFileSync(join(folder, file), 'utf8').split('\n');
  return new Map(
    lines
      .filter((line) => line !== '' && !line.startsWith('#'))
      .map((line): [string, string] => {
        const words = line.replace(/^sentinel (\S+) plenary /, '$1 ').split(' ');
        return [words[0] ?? '', words.slice(1).join(' ')];
      }),
  );
}

const milliseconds = (settings: ReadonlyMap<string, string>, name: string, unitMs = 1): number =>
  Number(settings.get(name)) * unitMs;

it('[ST10] a primary that is cut off stops taking writes before another one is elected', () => {
  const pairs = [
    ['replicated.conf', milliseconds(settingsOf('sentinel.conf'), 'down-after-milliseconds')],
    ['cluster.conf', milliseconds(settingsOf('cluster.conf'), 'cluster-node-timeout')],
  ] as const;
  for (const [file, electedAfterMs] of pairs) {
    const settings = settingsOf(file);
    expect(settings.get('min-replicas-to-write'), file).toBe('1');
    const lagMs = milliseconds(settings, 'min-replicas-max-lag', 1_000);
    expect(lagMs, file).toBeGreaterThan(0);
    // Redis counts whole seconds of lag, and looks once a second.
    expect(lagMs + 2_000, file).toBeLessThanOrEqual(electedAfterMs);
    expect(settings.get('appendonly'), file).toBe('yes');
    expect(settings.get('maxmemory-policy'), file).toBe('noeviction');
  }
});

it('[BU7] Redis has a limit of memory, at which it refuses writes and drops nothing; the documents say so', () => {
  for (const file of ['replicated.conf', 'cluster.conf']) {
    expect(settingsOf(file).get('maxmemory'), file).toMatch(/^\d+gb$/);
    expect(settingsOf(file).get('maxmemory-policy'), file).toBe('noeviction');
  }
  const secrets = readFileSync(join(import.meta.dirname, 'make-secrets.sh'), 'utf8');
  expect(secrets).toMatch(/\nmaxmemory \d+gb\nmaxmemory-policy noeviction/);
  for (const word of ['`maxmemory`', '`noeviction`', '`OOM`']) expect(howto).toContain(word);
});

it('HA_SETUP.md sends to each of the files', () => {
  for (const file of ['replicated.conf', 'sentinel.conf', 'cluster.conf'])
    expect(howto).toContain(`deploy/redis/${file}`);
});
