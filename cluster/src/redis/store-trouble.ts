/** Why a store does not serve, told from what it answered or how its connection failed: mapped here and nowhere else. */

import { lacksFiles, RAISE_FILE_LIMIT } from '../process/file-limit.ts';
import { codeOf, isTlsFault } from '../process/tls-fault.ts';

/** A closed set: a label of metrics, and what `/ready` says. */
export const STORE_TROUBLES = [
  'no_connection',
  'refused',
  'no_answer',
  'unreachable',
  'unknown_name',
  'access_denied',
  'tls_refused',
  'out_of_memory',
  'too_few_replicas',
  'cannot_save',
  'read_only',
  'loading',
  'primary_away',
  'primary_unnamed',
  'slots_away',
  'busy',
  'too_many_clients',
  'too_many_files',
  'no_database',
] as const;
export type StoreTrouble = (typeof STORE_TROUBLES)[number];

/** What a reply of Redis begins with that refuses a command which would be taken at another time. */
const BY_REPLY: ReadonlyMap<string, StoreTrouble> = new Map([
  ['OOM', 'out_of_memory'],
  ['NOREPLICAS', 'too_few_replicas'],
  ['MISCONF', 'cannot_save'],
  ['READONLY', 'read_only'],
  ['UNBLOCKED', 'read_only'],
  ['LOADING', 'loading'],
  ['MASTERDOWN', 'primary_away'],
  ['CLUSTERDOWN', 'slots_away'],
  ['TRYAGAIN', 'slots_away'],
  ['BUSY', 'busy'],
  ['NOAUTH', 'access_denied'],
  ['WRONGPASS', 'access_denied'],
  ['NOPERM', 'access_denied'],
  ['DENIED', 'access_denied'],
]);
/** Replies that say that we asked for nonsense, or for what a key of another type cannot do. */
const OUR_MISTAKE = /^(ERR|WRONGTYPE|CROSSSLOT|user_script)/;
/** A script whose user lacks the right to a command or key, in the words of Redis 7 and of Valkey. */
const SCRIPT_DENIED = /ACL failure in script|The user executing the script can't/;

/** What Redis itself answered with; ioredis' own class for it is not typed. */
export const isReplyError = (error: unknown): error is Error =>
  error instanceof Error && error.name === 'ReplyError';

/** Whether Redis refused because it cannot serve now, rather than because we asked for nonsense. */
export function isOutage(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  return !isReplyError(error) || !OUR_MISTAKE.test(error.message) || SCRIPT_DENIED.test(error.message);
}

export function storeTroubleOf(error: unknown): StoreTrouble {
  if (!(error instanceof Error)) return 'no_connection';
  const [prefix = ''] = /^[A-Z]+/.exec(error.message) ?? [];
  const refused = BY_REPLY.get(prefix);
  if (refused !== undefined) return refused;
  if (SCRIPT_DENIED.test(error.message)) return 'access_denied';
  const code = codeOf(error);
  // Sentinels that do not know the name answer so, or with nothing, of which ioredis says the same words as of those that do not answer.
  if (/No such master with that name|All sentinels are unreachable(?!.*Last error)/.test(error.message))
    return 'primary_unnamed';
  // ioredis wraps what the last Sentinel failed with into a text.
  if (isTlsFault(error)) return 'tls_refused';
  if (/WRONGPASS|NOAUTH|invalid (username-)?password/i.test(error.message)) return 'access_denied';
  if (/DB index is out of range|SELECT is not allowed/i.test(error.message)) return 'no_database';
  if (lacksFiles(error)) return 'too_many_files';
  if (/max number of clients/i.test(error.message)) return 'too_many_clients';
  if (/ENOTFOUND|EAI_AGAIN/.test(`${code} ${error.message}`)) return 'unknown_name';
  if (/ECONNREFUSED/.test(`${code} ${error.message}`)) return 'refused';
  if (/ETIMEDOUT|EHOSTUNREACH|ENETUNREACH/.test(`${code} ${error.message}`)) return 'unreachable';
  if (/Socket timeout|no answer within|Command timed out/.test(error.message)) return 'no_answer';
  return 'no_connection';
}

/** Whether the store comes back by itself, as far as that can be told, or somebody must act; and what there is to do. */
export const ADVICE: Readonly<Record<StoreTrouble, { readonly mustAct: boolean; readonly toDo: string }>> = {
  no_connection: {
    mustAct: false,
    toDo: 'see whether Redis runs, and what its log says about connections that end',
  },
  refused: {
    mustAct: true,
    toDo: 'see whether Redis runs, and listens at the configured address; where Sentinels or cluster nodes name one that is another from here, set PLENARY_REDIS_NAT_MAP',
  },
  no_answer: { mustAct: false, toDo: 'see whether Redis hangs, or its network drops packets' },
  unreachable: {
    mustAct: true,
    toDo: 'see whether this host reaches the address of Redis; where Sentinels or cluster nodes name one that is another from here, set PLENARY_REDIS_NAT_MAP',
  },
  unknown_name: { mustAct: true, toDo: 'correct the host name of Redis, or the name service' },
  access_denied: {
    mustAct: true,
    toDo: 'correct user name and password of Redis (and of the Sentinels), or the rights of the user: those of deploy/redis/users, with PLENARY_NAMESPACE in them',
  },
  tls_refused: {
    mustAct: true,
    toDo: 'correct the certificate of Redis, its name, or NODE_EXTRA_CA_CERTS, and see that both sides use TLS',
  },
  out_of_memory: { mustAct: true, toDo: 'give Redis more memory, or raise its maxmemory' },
  too_few_replicas: {
    mustAct: false,
    toDo: 'bring the replicas of Redis back, or lower min-replicas-to-write',
  },
  cannot_save: { mustAct: true, toDo: 'make room on the disk of Redis; its log says why it cannot save' },
  read_only: {
    mustAct: false,
    toDo: 'wait for the failover; if there is none, the configured address is that of a replica',
  },
  loading: { mustAct: false, toDo: 'wait until Redis has loaded its data' },
  primary_away: { mustAct: false, toDo: 'see whether the primary of Redis runs' },
  primary_unnamed: {
    mustAct: true,
    toDo: 'see whether the Sentinels monitor a primary yet, and whether PLENARY_REDIS_SENTINEL_NAME is what they call it',
  },
  slots_away: { mustAct: false, toDo: 'see which masters of the Redis Cluster are down' },
  busy: {
    mustAct: false,
    toDo: 'see whose script keeps Redis busy (none of this program takes long); SCRIPT KILL ends it',
  },
  no_database: {
    mustAct: true,
    toDo: 'mend the number of the database in REDIS_URL, or raise `databases` of Redis; a Redis Cluster has one only, and is named by PLENARY_REDIS_CLUSTER',
  },
  too_many_clients: { mustAct: true, toDo: 'raise maxclients of Redis' },
  too_many_files: { mustAct: true, toDo: `raise the file limit of this process (${RAISE_FILE_LIMIT})` },
};
