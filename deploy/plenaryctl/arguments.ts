import { parseArgs } from 'node:util';
import { ADMIN_SUBJECT, MAX_DRAIN_MS, MEDIA_NODE_ID, ROOM_NAME, SUBJECT, TENANT_ID } from '@plenary/cluster';
import type { AdminRevokeRequest, AdminSubject, MediaNodeId, RoomName, TenantId } from '@plenary/cluster';
import { z } from 'zod';

export const USAGE = `What an operator does with the processes and rooms of a Plenary cluster.

  plenaryctl drain NODE [--deadline 10m]   asks everybody to go elsewhere, shows how far it is, and ends when nobody
                                           is left (exit code 0) or at the deadline, when the rest is cut off (2)
  plenaryctl undrain NODE                  lets it take people again
  plenaryctl status NODE                   shows how far it is
  plenaryctl rooms [TENANT]                lists the rooms that have people, by tenant (API key)
  plenaryctl people TENANT ROOM            lists who is in a room
  plenaryctl revoke TENANT [--room ROOM] [--person SUB] [--end] [--edge URL]…
                                           takes away what tokens grant that were made until now: of the tenant, a room, a
                                           person, or a person in a room; with --end, who is in by them goes as well, so
                                           that --room ROOM --end closes a room. Edges are looked up, or are those at the
                                           URLs: name all of them while the store is away
  plenaryctl node-key ID                   prints the PLENARY_NODE_KEY of a media node, out of PLENARY_CLUSTER_SECRET
  plenaryctl admin-key KIND ID             prints the PLENARY_ADMIN_KEY of a process, out of PLENARY_ADMIN_TOKEN; KIND is
                                           edge or media-node

NODE is the id of an edge or a media node, or the URL of its operators' port. An id is looked up in the store, which the
same variables name as for those processes (REDIS_URL, …); what is there has to prove to be that process.

PLENARY_ADMIN_TOKEN, or PLENARY_ADMIN_TOKEN_FILE, is the token that the processes have, or have keys of. It never leaves
this machine.`;

const EDGE_URL = z.url({ protocol: /^https?$/ });
/** The default deadline of a drain. */
const DEFAULT_DEADLINE_MS = 600_000;

export type Command =
  | { readonly kind: 'help' }
  | { readonly kind: 'node-key'; readonly mediaNodeId: MediaNodeId }
  | { readonly kind: 'admin-key'; readonly subject: AdminSubject }
  | { readonly kind: 'rooms'; readonly tenant: TenantId | undefined }
  | { readonly kind: 'people'; readonly tenant: TenantId; readonly room: RoomName }
  /** `edges` are URLs of operators' ports; without any, all edges are looked up. */
  | { readonly kind: 'revoke'; readonly request: AdminRevokeRequest; readonly edges: readonly string[] }
  | { readonly kind: 'drain'; readonly node: string; readonly deadlineMs: number }
  | { readonly kind: 'undrain' | 'status'; readonly node: string };

/** The command line is invalid; the message says why. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** @throws UsageError */
export function parseArguments(args: readonly string[]): Command {
  const [kind, ...rest] = args;
  if (kind === undefined || kind === 'help' || args.includes('--help') || args.includes('-h')) {
    return { kind: 'help' };
  }
  if (kind === 'node-key') {
    const id = MEDIA_NODE_ID.safeParse(rest[0]);
    if (!id.success || rest.length > 1)
      throw new UsageError('node-key takes exactly one id of a media node.');
    return { kind, mediaNodeId: id.data };
  }
  if (kind === 'admin-key') {
    const subject = ADMIN_SUBJECT.safeParse({ kind: rest[0], id: rest[1] });
    if (!subject.success || rest.length > 2)
      throw new UsageError('admin-key takes edge or media-node, and an id.');
    return { kind, subject: subject.data };
  }
  if (kind === 'rooms') {
    const tenant = rest[0] === undefined ? undefined : parsed(TENANT_ID, rest[0], 'an API key');
    if (rest.length > 1) throw new UsageError('rooms takes one API key at most.');
    return { kind, tenant };
  }
  if (kind === 'people') {
    const [tenant = '', room = '', ...more] = rest;
    if (more.length > 0) throw new UsageError('people takes an API key and a room.');
    return { kind, tenant: parsed(TENANT_ID, tenant, 'an API key'), room: parsed(ROOM_NAME, room, 'a room') };
  }
  if (kind === 'revoke') return { kind, ...parseRevocation(rest) };
  if (kind !== 'drain' && kind !== 'undrain' && kind !== 'status') {
    throw new UsageError(`There is no command ${kind}.`);
  }
  const [nodes, deadlines] = [[] as string[], [] as string[]];
  for (let index = 0; index < rest.length; index += 1) {
    const argument = rest[index] ?? '';
    const [name, value] = argument.split('=', 2);
    if (name === '--deadline') {
      deadlines.push(value ?? rest[index + 1] ?? '');
      if (value === undefined) index += 1;
    } else if (argument.startsWith('-')) throw new UsageError(`There is no option ${argument}.`);
    else nodes.push(argument);
  }
  const [node, ...more] = nodes;
  if (node === undefined || more.length > 0) throw new UsageError(`${kind} takes exactly one node.`);
  if (kind !== 'drain') {
    if (deadlines.length > 0) throw new UsageError(`${kind} has no deadline.`);
    return { kind, node };
  }
  if (deadlines.length > 1) throw new UsageError('There is one deadline.');
  const [deadline] = deadlines;
  return { kind, node, deadlineMs: deadline === undefined ? DEFAULT_DEADLINE_MS : parseDuration(deadline) };
}

function parsed<Schema extends z.ZodType>(schema: Schema, text: string, what: string): z.infer<Schema> {
  const result = schema.safeParse(text);
  if (!result.success) throw new UsageError(`"${text}" is not ${what}.`);
  return result.data;
}

/** @throws UsageError for anything unknown: an ignored restriction would revoke more than the operator meant */
function parseRevocation(args: readonly string[]): {
  readonly request: AdminRevokeRequest;
  readonly edges: readonly string[];
} {
  const options = {
    room: { type: 'string' },
    person: { type: 'string' },
    end: { type: 'boolean' },
    edge: { type: 'string', multiple: true },
  } as const;
  let read;
  try {
    read = parseArgs({ args: [...args], options, allowPositionals: true });
  } catch (fault) {
    throw new UsageError(fault instanceof Error ? fault.message : 'revoke cannot be understood.');
  }
  const { positionals, values } = read;
  const [tenant = '', ...more] = positionals;
  if (more.length > 0) throw new UsageError('revoke takes exactly one API key.');
  const request = {
    tenant: parsed(TENANT_ID, tenant, 'an API key'),
    ...(values.room === undefined ? {} : { room: parsed(ROOM_NAME, values.room, 'a room') }),
    ...(values.person === undefined ? {} : { person: parsed(SUBJECT, values.person, 'the sub of a token') }),
    end: values.end ?? false,
  };
  const edges = (values.edge ?? []).map((url) =>
    parsed(EDGE_URL, url, 'the URL of an edge’s operators’ port'),
  );
  return { request, edges };
}

const UNITS_MS = new Map([
  ['ms', 1],
  ['s', 1_000],
  ['m', 60_000],
  ['h', 3_600_000],
]);

/** A time such as `90s`, `10m` or `1h`, in milliseconds. @throws UsageError */
export function parseDuration(text: string): number {
  const [, count, unit = ''] = /^(\d{1,9})(ms|s|m|h)$/.exec(text) ?? [];
  const milliseconds = Number(count) * (UNITS_MS.get(unit) ?? Number.NaN);
  if (Number.isNaN(milliseconds) || milliseconds > MAX_DRAIN_MS) {
    throw new UsageError(`${text} is not a time such as 90s, 10m or 1h, of a day at most.`);
  }
  return milliseconds;
}
