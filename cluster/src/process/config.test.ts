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
      'PLENARY_PROT: is not a setting of this process; did you mean PLENARY_PORT?',
      expect.stringMatching(/^PLENARY_PORT: .*65535/),
      'PLENARY_CLUSTER_SECRET: is required',
      expect.stringMatching(/^PLENARY_GUESTS: /),
    ]);
  });

  it('[CF4] what Kubernetes and Docker links say of services is no fault', () => {
    const services = {
      PLENARY_SERVICE_HOST: '10.96.0.1',
      PLENARY_SERVICE_PORT: '3000',
      PLENARY_SERVICE_PORT_WS: '3000',
      PLENARY_PORT: 'tcp://10.96.0.1:3000',
      PLENARY_PORT_3000_TCP: 'tcp://10.96.0.1:3000',
      PLENARY_PORT_3000_TCP_PROTO: 'tcp',
      PLENARY_PORT_3000_TCP_PORT: '3000',
      PLENARY_PORT_3000_TCP_ADDR: '10.96.0.1',
      PLENARY_EDGE_SERVICE_HOST: 'fd00::1',
      PLENARY_EDGE_SERVICE_PORT_WS: '3000',
      PLENARY_EDGE_PORT: 'tcp://[fd00::1]:3000',
      PLENARY_EDGE_PORT_3000_TCP_ADDR: 'fd00::1',
      PLENARY_MEDIA_NODE_PORT: 'udp://10.96.0.2:20000',
      PLENARY_MEDIA_NODE_PORT_20000_UDP: 'udp://10.96.0.2:20000',
      PLENARY_MEDIA_NODE_PORT_20000_SCTP_PROTO: 'sctp',
      PLENARY_GUESTS_PORT: 'tcp://10.96.0.3:80',
      PLENARY_EDGE_NAME: '/app/plenary-edge',
      PLENARY_EDGE_ENV_TZ: 'UTC',
      PLENARY_EDGE_PORT_3000_TCP_START: 'tcp://10.96.0.1:3000',
      PLENARY_EDGE_PORT_START: 'tcp://10.96.0.1:3000',
    };
    expect(faultsOf({ ...services, PLENARY_PORT: '3000', PLENARY_CLUSTER_SECRET: SECRET })).toEqual([]);
    expect(faultsOf({ ...services, PLENARY_CLUSTER_SECRET: SECRET })).toEqual([
      expect.stringMatching(/^PLENARY_PORT: is required \(tcp:.*enableServiceLinks: false/),
    ]);
    const folder = mkdtempSync(join(tmpdir(), 'plenary-config-'));
    try {
      writeFileSync(join(folder, 'port'), '3000');
      const fromFile = { ...services, PLENARY_PORT_FILE: join(folder, 'port') };
      expect(faultsOf({ ...fromFile, PLENARY_CLUSTER_SECRET: SECRET })).toEqual([]);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it.each([
    ['PLENARY_SERVICE_PROT', '3000', undefined],
    ['PLENARY_GUEST', 'on', 'PLENARY_GUESTS'],
    ['PLENARY_CLUSTER_SECERT', SECRET, 'PLENARY_CLUSTER_SECRET'],
    ['PLENARY_CLUSTER_SECRET_FLIE', '/x', 'PLENARY_CLUSTER_SECRET_FILE'],
    ['PLENARY_EDGE_PORT', '3000', undefined],
    ['PLENARY_EDGE_NAME', 'edge-1', undefined],
    ['PLENARY_EDGE_ENV_TZ', 'UTC', undefined],
  ])('[CF5] %s=%s, which nobody injects, is a fault that names what is nearest', (name, value, nearest) => {
    const [fault = '', ...others] = faultsOf({
      PLENARY_PORT: '1',
      PLENARY_CLUSTER_SECRET: SECRET,
      [name]: value,
    });
    expect(others).toEqual([]);
    expect(fault).toContain(`${name}: is not a setting of this process`);
    if (nearest === undefined) expect(fault).not.toContain('enableServiceLinks');
    else expect(fault).toContain(`did you mean ${nearest}?`);
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
