import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { ConfigError, parseConfig, portSetting, secretSetting, switchSetting } from './config.ts';

const SCHEMA = z.object({
  PLENARY_PORT: portSetting,
  PLENARY_CLUSTER_SECRET: secretSetting,
  PLENARY_GUESTS: switchSetting.default(false),
});
const SECRET = 'a-secret-of-more-than-thirty-two-characters';

function faultsOf(environment: Record<string, string>): readonly string[] {
  try {
    parseConfig(SCHEMA, environment);
  } catch (error) {
    if (error instanceof ConfigError) return error.faults;
    throw error;
  }
  return [];
}

describe('parseConfig', () => {
  it('[CF1] parses and freezes what is given, with defaults', () => {
    const config = parseConfig(SCHEMA, {
      PLENARY_PORT: '3000',
      PLENARY_CLUSTER_SECRET: SECRET,
      HOME: '/root',
    });
    expect(config).toEqual({ PLENARY_PORT: 3000, PLENARY_CLUSTER_SECRET: SECRET, PLENARY_GUESTS: false });
    expect(Object.isFrozen(config)).toBe(true);
  });

  it('[CF1] lists every fault at once, by the name of the variable', () => {
    expect(faultsOf({ PLENARY_PORT: '70000', PLENARY_GUESTS: 'yes', PLENARY_PROT: '1' })).toEqual([
      'PLENARY_PROT: is not a setting of this process',
      expect.stringMatching(/^PLENARY_PORT: .*65535/),
      'PLENARY_CLUSTER_SECRET: is required',
      expect.stringMatching(/^PLENARY_GUESTS: /),
    ]);
  });

  it('[CF2] reads a secret from a file, and refuses it given twice or unreadable', () => {
    const folder = mkdtempSync(join(tmpdir(), 'plenary-config-'));
    try {
      const path = join(folder, 'secret');
      writeFileSync(path, `${SECRET}\n`);
      const fromFile = { PLENARY_PORT: '3000', PLENARY_CLUSTER_SECRET_FILE: path };
      expect(parseConfig(SCHEMA, fromFile).PLENARY_CLUSTER_SECRET).toBe(SECRET);
      expect(faultsOf({ ...fromFile, PLENARY_CLUSTER_SECRET: SECRET })[0]).toContain('both directly and by');
      expect(faultsOf({ ...fromFile, PLENARY_CLUSTER_SECRET_FILE: join(folder, 'none') })[0]).toContain(
        'cannot read',
      );
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
