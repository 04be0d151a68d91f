/**
 * The commands of HA_SETUP.md, as written: real Redis, Sentinels, edges and media nodes at the addresses that it names, in a network
 * namespace. `docker` starts the images' programs as the images' user instead of images.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { waitFor } from '@plenary/cluster/testing/wait-for';
import { HaSite } from './testing/ha-site.ts';

const text = readFileSync(join(import.meta.dirname, '../HA_SETUP.md'), 'utf8');

interface Typed {
  readonly heading: string;
  readonly command: string;
  /** The comment after the command. */
  readonly says: string;
}

/** Every command of the shell blocks, with its heading. */
function commandsOf(markdown: string): readonly Typed[] {
  return [...markdown.matchAll(/^## (.+)\n([\s\S]*?)(?=^## |(?![\s\S]))/gm)].flatMap(
    ([, heading = '', section = '']) =>
      [...section.matchAll(/^```sh\n([\s\S]*?)^```$/gm)].flatMap(([, block = '']) =>
        logicalLines(block).map((line) => {
          const [command = '', says = ''] = line.split(/\s+# /);
          return { heading, command: command.trim(), says };
        }),
      ),
  );
}

/** Joins lines that a backslash or a loop continues. */
function logicalLines(block: string): readonly string[] {
  const whole = block
    .replaceAll(/\\\n\s*/g, ' ')
    .replaceAll(/^(for [\s\S]*?^done)/gm, (loop) => loop.replaceAll('\n', '; ').replace('do; ', 'do '));
  return whole.split('\n').filter((line) => line.trim() !== '' && !line.startsWith('#'));
}

const commands = commandsOf(text);

/** Commands that need the internet, a browser or another server, and are tested elsewhere. */
const ELSEWHERE = [
  /meet\.example\.org/, // caddy-ha.e2e.test.ts
  /^docker start /, // goes with a line of these
  /^caddy run /, // caddy-ha.e2e.test.ts
  /^consul |:8500\//, // consul.contract.test.ts
  /^nc /,
];

/** The lines of a block that begins like this, without comments. */
function blockWith(start: string): readonly string[] {
  const from = text.indexOf(`\`\`\`\n${start}`);
  expect(from, start).toBeGreaterThan(0);
  const block = text.slice(from + 4, text.indexOf('```', from + 4));
  return block
    .split('\n')
    .map((line) => line.replace(/\s+# .*$/, '').trim())
    .filter((line) => line !== '' && !line.startsWith('#'));
}

/** The commands that a usage line describes: without its optional parts, with each of them, and with all, repeated where allowed. */
function everyForm(usage: string): readonly string[] {
  const PART = /\s*\[([^\]]*)\](…?)/g;
  const parts = [...usage.matchAll(PART)].map(([, part = '', repeated = '']) => ({ part, repeated }));
  const bare = usage.replaceAll(PART, '');
  const all = parts.flatMap(({ part, repeated }) => (repeated === '' ? [part] : [part, part]));
  const chosen = [[], ...parts.map(({ part }) => [part]), all];
  return [...new Set(chosen.map((some) => [bare, ...some].join(' ')))];
}

const REDIS_PLACES = ['10.1.0.31', '10.2.0.31', '10.3.0.10'];
const SECRETS = {
  REDIS_URL_FILE: 'secrets/redis_url_operator',
  PLENARY_ADMIN_TOKEN_FILE: 'secrets/admin_token',
};

/** In milliseconds: a dozen programs start one after the other, which takes minutes on a busy machine. */
const TIMEOUT_MS = 600_000;
/** How long one command may take to do what the page says, in milliseconds. */
const ANSWERED_WITHIN_MS = 120_000;
const fault = await HaSite.fault();

describe.skipIf(fault !== undefined)(
  `the commands of HA_SETUP.md${fault === undefined ? '' : ` – skipped: ${fault}`}`,
  { timeout: TIMEOUT_MS },
  () => {
    let site: HaSite;
    beforeAll(async () => {
      const addresses = new Set(text.match(/\b(?:10\.[123]\.0\.\d+|203\.0\.113\.\d+)\b(?!\/)/g));
      site = await HaSite.open([...addresses]);
    });
    afterAll(() => site.close());

    /** Runs a command of HA_SETUP until its result matches the comment or `expected`. */
    async function type({ command, says }: Typed, env: Record<string, string> = {}): Promise<string> {
      const asks = /^(curl|redis-cli|for url)/.test(command);
      const wanted = asks ? says.split(/[\s,]+(?![^{]*\})/).filter((word) => word !== '') : [];
      let seen = '';
      await waitFor(
        command,
        async () => {
          const { code, text: printed } = await site.type(command, env);
          seen = printed;
          // A process that is too busy to answer is asked again, as an operator would do.
          if (!asks && printed.includes('does not answer')) return false;
          if (!asks && code !== 0) throw new Error(`${command}\nended with ${code}:\n${printed}`);
          // The loop asks three processes.
          const times = command.startsWith('for url') ? 3 : 1;
          const isReady =
            !command.includes('/ready') || (printed.match(/"ready":true/g) ?? []).length === times;
          return code === 0 && isReady && wanted.every((word) => printed.includes(word));
        },
        ANSWERED_WITHIN_MS,
      ).catch(async (error: unknown) => {
        const logs = (await site.type('tail -n 20 .state/log-* 2>&1')).text;
        throw new Error(`${command} printed:\n${seen}\n${logs}`, { cause: error });
      });
      return seen;
    }

    const under = (heading: string, pattern: RegExp): Typed => {
      const found = commands.filter(
        (typed) => typed.heading.startsWith(heading) && pattern.test(typed.command),
      );
      const [typed] = found;
      if (typed === undefined || found.length > 1) throw new Error(`${found.length} commands ${pattern}`);
      return typed;
    };
    const typed = new Set<Typed>();
    const typeUnder = (
      heading: string,
      pattern: RegExp,
      env: Record<string, string> = {},
    ): Promise<string> => {
      const found = under(heading, pattern);
      typed.add(found);
      return type(found, env);
    };
    const BRING_UP = 'Bring-up';

    it('[AD10] bring a cluster up: images, secrets that the images can read, Redis, a media node, edges, Caddy', async () => {
      await typeUnder(BRING_UP, /^docker build .*edge/);
      await typeUnder(BRING_UP, /^docker build .*media/);
      const makeSecrets = under(BRING_UP, /^sh deploy\/make-secrets/);
      typed.add(makeSecrets);
      expect(makeSecrets.says).toBe('and all the others');
      await type({ ...makeSecrets, command: `${makeSecrets.command} edge/edge-gra-2` });
      const secret = (name: string): string => join(site.folder, 'secrets', name);
      const urls = /^then put the real address of Redis into secrets\/(\w+), (\w+) and (\w+)$/m.exec(
        text.replaceAll(/^# /gm, ''),
      );
      expect(urls).not.toBeNull();
      for (const name of urls?.slice(1) ?? []) {
        const made = readFileSync(secret(name), 'utf8');
        writeFileSync(secret(name), made.replace('127.0.0.1:6379', `${REDIS_PLACES[0]}:6379`));
      }
      const [bindLine = '', ...ownLines] = blockWith('bind 10.1.0.31');
      const users = readFileSync(secret('redis_conf'), 'utf8').match(/^user .*$/gm) ?? [];
      expect(users).toHaveLength(3);
      await typeUnder(BRING_UP, /^chown /);

      for (const [index, place] of REDIS_PLACES.entries()) {
        // All addresses belong to this machine, which has one loopback.
        const bind = bindLine.replace(/ 10\.1\.0\.31 127\.0\.0\.1$/, ` ${place}`);
        const lines = ownLines.filter((line) => index > 0 || !line.startsWith('replicaof'));
        await site.startRedis(`redis-${index}`, 'redis', 'deploy/redis/replicated.conf', [
          bind,
          // On one machine a connection's source address does not show who opened it.
          `replica-announce-ip ${place}`,
          ...lines,
          ...users,
        ]);
      }
      await typeUnder(BRING_UP, /^redis-cli .* info replication$/);
      for (const [index, place] of REDIS_PLACES.entries()) {
        const own = [`bind ${place}`, 'port 26379', `sentinel announce-ip ${place}`];
        const lines = [...own, ...blockWith('sentinel monitor')];
        await site.startRedis(`sentinel-${index}`, 'sentinel', 'deploy/redis/sentinel.conf', lines);
      }
      await typeUnder(BRING_UP, /^redis-cli .* ckquorum /);

      await typeUnder(BRING_UP, /^docker run .*--name media-gra-1/);
      await typeUnder(BRING_UP, /^curl -i http:\/\/10\.1\.0\.21/);
      const edge = under(BRING_UP, /^docker run .*--name edge-gra-1/);
      typed.add(edge);
      await type(edge);
      await typeUnder(BRING_UP, /^curl -i http:\/\/10\.1\.0\.11/);
      // The page says that the second one is set up like the first.
      const second = edge.command.replaceAll('edge-gra-1', 'edge-gra-2').replaceAll('10.1.0.11', '10.1.0.12');
      await type({ ...edge, command: second });

      const caddy = Object.fromEntries(
        blockWith('# /etc/caddy/plenary.env').map((line) => line.split(/=(.*)/s, 2) as [string, string]),
      );
      await typeUnder(BRING_UP, /^caddy validate /, caddy);
    });

    it('[AD10] look at rooms and people, and take access away, in each form that the page gives', async () => {
      const [tenant = ''] = readFileSync(join(site.folder, 'secrets/api_keys'), 'utf8').split(':');
      const forms = blockWith('plenaryctl rooms').flatMap((line) => everyForm(line));
      expect(forms.length).toBeGreaterThan(7);
      for (const form of forms) {
        const command = form
          .replace('TENANT', tenant)
          .replace(/(?<= )ROOM/, 'hello')
          .replace('SUB', 'ann')
          .replace('URL', 'http://10.1.0.11:13000')
          .replace('URL', 'http://10.1.0.12:13000');
        await type({ heading: 'Upgrades', command, says: '' }, SECRETS);
      }
    });

    it('[AD10] check it, make the key of one media node, and drain it', async () => {
      const printed = await typeUnder('Checks', /^for url in /);
      expect(printed.match(/ 200 \{"ready":true/g)).toHaveLength(3);
      await typeUnder('Secrets', /^PLENARY_CLUSTER_SECRET_FILE=.* node-key /);
      await typeUnder('Secrets', /^PLENARY_ADMIN_TOKEN_FILE=.* admin-key /);
      expect(readFileSync(join(site.folder, 'secrets/node_key_media-gra-1'), 'utf8')).toContain(
        'media-gra-1',
      );
      const drained = await typeUnder('Upgrades', /^plenaryctl drain /, SECRETS);
      expect(drained).toContain('media-gra-1 is drained');
    });

    it('[AD10] are all typed here, but for those that take the internet', () => {
      const rest = commands.filter((each) => !typed.has(each)).map(({ command }) => command);
      expect(rest.filter((command) => !ELSEWHERE.some((pattern) => pattern.test(command)))).toEqual([]);
      expect(typed.size).toBeGreaterThan(12);
    });
  },
);
