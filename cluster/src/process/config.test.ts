import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import {
  ConfigError,
  hostSetting,
  parseConfig,
  portSetting,
  secretSetting,
  switchSetting,
} from './config.ts';

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
  it('[CF1] parses and freezes the given values, with defaults', () => {
    const config = parseConfig(SCHEMA, {
      PLENARY_PORT: '3000',
      PLENARY_CLUSTER_SECRET: SECRET,
      HOME: '/root',
    });
    expect(config).toEqual({ PLENARY_PORT: 3000, PLENARY_CLUSTER_SECRET: SECRET, PLENARY_GUESTS: false });
    expect(Object.isFrozen(config)).toBe(true);
  });

  it('[CF13] lists every fault at once, by the name of the variable', () => {
    expect(faultsOf({ PLENARY_PORT: '70000', PLENARY_GUESTS: 'yes', PLENARY_PROT: '1' })).toEqual([
      'PLENARY_PROT: is not a setting of this process; did you mean PLENARY_PORT?',
      expect.stringMatching(/^PLENARY_PORT: .*65535/),
      'PLENARY_CLUSTER_SECRET: is required',
      expect.stringMatching(/^PLENARY_GUESTS: /),
    ]);
  });

  it('[CF4] variables that Kubernetes and Docker links add for services are no fault', () => {
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
      PLENARY_REDIS_PORT_7000_TCP_START: 'tcp://10.96.0.4:7000',
      PLENARY_REDIS_PORT_7000_TCP_PORT_START: '7000',
      PLENARY_REDIS_PORT_7000_TCP_END: 'tcp://10.96.0.4:7005',
      PLENARY_REDIS_PORT_7000_TCP_PORT_END: '7005',
      PLENARY_ENV_EDGE_NAME: '/app/plenary-env-edge',
      PLENARY_ENV_EDGE_ENV_TZ: 'UTC',
      PLENARY_ENV_EDGE_ENV_MY_ENV_TZ: 'UTC',
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
  ])(
    '[CF5] %s=%s, which no platform adds, is a fault that names the nearest setting',
    (name, value, nearest) => {
      const [fault = '', ...others] = faultsOf({
        PLENARY_PORT: '1',
        PLENARY_CLUSTER_SECRET: SECRET,
        [name]: value,
      });
      expect(others).toEqual([]);
      expect(fault).toContain(`${name}: is not a setting of this process`);
      if (nearest === undefined) expect(fault).not.toContain('enableServiceLinks');
      else expect(fault).toContain(`did you mean ${nearest}?`);
    },
  );

  it('[CF14] reads a secret from a file, and refuses one that is given twice or unreadable', () => {
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

  const withFile = <Result>(content: string | Buffer, use: (path: string) => Result): Result => {
    const folder = mkdtempSync(join(tmpdir(), 'plenary-config-'));
    try {
      writeFileSync(join(folder, 'file'), content);
      return use(join(folder, 'file'));
    } finally {
      rmSync(folder, { recursive: true });
    }
  };
  const SPACED = [
    `${SECRET}\r`,
    `${SECRET}\r\n`,
    ` ${SECRET} `,
    `\uFEFF${SECRET}\n`,
    `${SECRET}\n\n`,
    `\t${SECRET}`,
  ];

  it.each(SPACED)('[CF7] space, line ends and a byte order mark around a value are removed: %j', (text) => {
    const direct = parseConfig(SCHEMA, {
      PLENARY_PORT: '3000\r',
      PLENARY_CLUSTER_SECRET: text,
      PLENARY_GUESTS: ' on\n',
    });
    expect(direct).toEqual({ PLENARY_PORT: 3000, PLENARY_CLUSTER_SECRET: SECRET, PLENARY_GUESTS: true });
    withFile(text, (path) => {
      const byFile = { PLENARY_PORT: '3000', PLENARY_CLUSTER_SECRET_FILE: `${path}\r` };
      expect(parseConfig(SCHEMA, byFile).PLENARY_CLUSTER_SECRET).toBe(SECRET);
    });
  });

  it.each([`${SECRET},\n${SECRET}\n`, `${SECRET}\r\n,\t${SECRET}`])(
    '[CF7] the entries of a list may stand on lines of their own: %j',
    (text) => {
      const config = parseConfig(SCHEMA, { PLENARY_PORT: '1', PLENARY_CLUSTER_SECRET: text });
      expect(config.PLENARY_CLUSTER_SECRET).toBe(`${SECRET},${SECRET}`);
    },
  );

  it.each([
    [`"${SECRET}"`, 'is in quotation marks'],
    [`'${SECRET}'`, 'is in quotation marks'],
    [`${SECRET}\n${SECRET}`, 'cannot be seen'],
    [`${SECRET}\0`, 'cannot be seen'],
    [`${SECRET}\u200B`, 'cannot be seen'],
    [`\u202E${SECRET}`, 'cannot be seen'],
  ])('[CF16] a value that is %j is a fault, which does not repeat it', (text, said) => {
    const [fault = '', ...others] = faultsOf({ PLENARY_PORT: '1', PLENARY_CLUSTER_SECRET: text });
    expect(others).toEqual([]);
    expect(fault).toContain(`PLENARY_CLUSTER_SECRET: `);
    expect(fault).toContain(said);
    expect(fault).not.toContain(SECRET);
    withFile(text, (path) =>
      expect(faultsOf({ PLENARY_PORT: '1', PLENARY_CLUSTER_SECRET_FILE: path })).toEqual([fault]),
    );
  });

  it.each([
    [Buffer.from(`\uFEFF${SECRET}`, 'utf16le'), /cannot read .* \(it is not UTF-8 text\)/],
    [Buffer.from(SECRET, 'utf16le'), /cannot be seen/],
    ['', /^PLENARY_CLUSTER_SECRET_FILE: .* is empty$/],
    ['\n', /^PLENARY_CLUSTER_SECRET_FILE: .* is empty$/],
  ])('[CF14] a file that holds %j is a fault', (content, fault) => {
    withFile(content, (path) =>
      expect(faultsOf({ PLENARY_PORT: '1', PLENARY_CLUSTER_SECRET_FILE: path })).toEqual([
        expect.stringMatching(fault),
      ]),
    );
  });

  it.each([
    SECRET,
    'c2VjcmV0/c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2U=',
    '/c2VjcmV0/c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2U=',
    `redis://:${SECRET}@10.1.0.31:6379/0`,
  ])(
    '[CF22] a value in place of a file name, which may be the secret itself, is not repeated: %j',
    (text) => {
      const [fault = '', ...others] = faultsOf({ PLENARY_PORT: '1', PLENARY_CLUSTER_SECRET_FILE: text });
      expect(others).toEqual([]);
      expect(fault).toMatch(/^PLENARY_CLUSTER_SECRET_FILE: .*the path of a file.*ENOENT/);
      expect(fault).not.toContain(text);
    },
  );

  it.each(['/nowhere', '/etc/plenary/none', 'cluster/none/cluster_secret'])(
    '[CF14] the path of a missing file is named: %s',
    (path) => {
      expect(faultsOf({ PLENARY_PORT: '1', PLENARY_CLUSTER_SECRET_FILE: path })).toEqual([
        expect.stringMatching(`^PLENARY_CLUSTER_SECRET_FILE: cannot read ${path} .ENOENT`),
      ]);
    },
  );

  it('[CF2] an empty variable counts as not given, beside a file or as the name of one', () => {
    withFile(SECRET, (path) => {
      const given = { PLENARY_PORT: '1', PLENARY_PORT_FILE: '', PLENARY_CLUSTER_SECRET_FILE: path };
      expect(faultsOf({ ...given, PLENARY_CLUSTER_SECRET: '' })).toEqual([]);
    });
  });
});

describe('[CF8] where to listen', () => {
  it.each(['0.0.0.0', '10.1.0.11', '::', '::1', 'FD00::1', 'localhost', 'edge-1.example.org', 'media_node'])(
    'may be %s',
    (text) => expect(hostSetting.parse(text)).toBe(text),
  );

  it.each([
    '10.1.0.11:3000',
    '[::]',
    'http://10.1.0.1',
    '*',
    'a host',
    '0',
    '1.2.3',
    '256.1.1.1',
    '010.1.0.1',
    'a..b',
    'a.b.',
  ])('is no %s', (text) => expect(hostSetting.safeParse(text).success).toBe(false));
});
