import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { LocalClusterError } from './errors.ts';
import { repositoryRoot } from './options.ts';
import type { LocalClusterOptions } from './options.ts';

export const START_USAGE = `Runs a whole Plenary cluster on this machine until Ctrl-C.

Usage: npm start -- [options]

  --edges N                signalling nodes (2)
  --media-nodes N          media nodes (2)
  --workers N              mediasoup workers of each media node (the cores shared among the nodes)
  --datacenters A,B        names that the nodes are dealt out to in turn (gra,sbg)
  --port N                 first edge's port; the next edges take the following, media nodes' control begins 100 higher (3000)
  --rtp-port N             where the media nodes' slices of RTP ports begin (20000)
  --slice-size N           RTP ports of each media node (100)
  --host A                 address to listen on (127.0.0.1; 0.0.0.0 with --announced-address)
  --announced-address A    address or name that browsers reach the media nodes at (127.0.0.1)
  --data-dir D             Redis' data, logs and cluster.json (.plenary)
  --log-level L            trace, debug, info, warn, error (info); warnings and errors are shown, all is in the logs
  --no-web                 edges serve no web app
  --no-guests              joining takes a token made with the API key
  --help                   this text

REDIS_URL names a Redis to use; without it the cluster runs one of its own.`;

const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'];

export type StartCommand =
  | { readonly kind: 'help' }
  | { readonly kind: 'start'; readonly options: LocalClusterOptions & { readonly dataDir: string } };

/**
 * Reads the command line of \`npm start\`.
 * @param redisUrl the value of REDIS_URL, if any
 * @throws LocalClusterError naming the invalid flag and how to list all flags
 */
export function parseStartArguments(args: readonly string[], redisUrl: string | undefined): StartCommand {
  const values = parse(args);
  if (values.help === true) return { kind: 'help' };
  const port = integer('--port', values.port, 1, 65_535) ?? 3000;
  const edges = integer('--edges', values.edges, 1, 100);
  const mediaNodes = integer('--media-nodes', values['media-nodes'], 1, 100);
  const workers = integer('--workers', values.workers, 1, 64);
  const sliceSize = integer('--slice-size', values['slice-size'], 2, 10_000);
  const datacenters = values.datacenters?.split(',').map((name) => name.trim());
  if (datacenters?.some((name) => !/^[a-z][a-z0-9-]{0,30}$/.test(name)) === true) {
    throw fault(
      `--datacenters takes names of small letters, digits and dashes with commas between, not \`${values.datacenters}\`.`,
    );
  }
  const logLevel = values['log-level'];
  if (logLevel !== undefined && !LOG_LEVELS.includes(logLevel)) {
    throw fault(`--log-level takes one of ${LOG_LEVELS.join(', ')}, not \`${logLevel}\`.`);
  }
  return {
    kind: 'start',
    options: {
      ports: {
        edges: port,
        control: port + 100,
        operators: port + 300,
        rtp: integer('--rtp-port', values['rtp-port'], 1, 65_535) ?? 20_000,
      },
      dataDir: resolve(values['data-dir'] ?? join(repositoryRoot, '.plenary')),
      ...defined({ edges, mediaNodes, workers, sliceSize, datacenters, logLevel }),
      ...defined({ host: values.host, announcedAddress: values['announced-address'] }),
      ...(redisUrl === undefined || redisUrl === '' ? {} : { redisUrl: checkRedisUrl(redisUrl) }),
      ...(values['no-web'] === true ? { web: false } : {}),
      guests: values['no-guests'] !== true,
    },
  };
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        edges: { type: 'string' },
        'media-nodes': { type: 'string' },
        workers: { type: 'string' },
        datacenters: { type: 'string' },
        port: { type: 'string' },
        'rtp-port': { type: 'string' },
        'slice-size': { type: 'string' },
        host: { type: 'string' },
        'announced-address': { type: 'string' },
        'data-dir': { type: 'string' },
        'log-level': { type: 'string' },
        'no-web': { type: 'boolean' },
        'no-guests': { type: 'boolean' },
        help: { type: 'boolean', short: 'h' },
      },
    }).values;
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    throw fault(message.split('. ')[0]?.replace(/\.?$/, '.') ?? message);
  }
}

function integer(
  flag: string,
  text: string | undefined,
  minimum: number,
  maximum: number,
): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= minimum && value <= maximum) return value;
  throw fault(`${flag} takes a whole number from ${minimum} to ${maximum}, not \`${text}\`.`);
}

function checkRedisUrl(url: string): string {
  const protocol = URL.canParse(url) ? new URL(url).protocol : '';
  if (protocol === 'redis:' || protocol === 'rediss:') return url;
  throw fault(
    'REDIS_URL is no address of a Redis. It looks like redis://user:password@host:6379/0, or rediss:// with TLS.',
  );
}

function fault(message: string): LocalClusterError {
  return new LocalClusterError(`${message}\nAll options: npm start -- --help`);
}

/** Removes undefined values, so that defaults are set in one place only. */
function defined<T extends object>(values: T): { [Key in keyof T]?: Exclude<T[Key], undefined> } {
  const given = Object.entries(values).filter(([, value]) => value !== undefined);
  return Object.fromEntries(given) as { [Key in keyof T]?: Exclude<T[Key], undefined> };
}
