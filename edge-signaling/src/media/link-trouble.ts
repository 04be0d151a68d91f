/** Pure decisions about a control link: why it is down, what an operator can do, and how soon it is opened again. */
import { isTlsFault, lacksFiles, LINK_REFUSALS, linkRefusalOf, RAISE_FILE_LIMIT } from '@plenary/cluster';
import type { PlenaryError } from '@plenary/cluster';

/** The first and the longest pause between attempts to connect, in milliseconds. */
export const RECONNECT_FIRST_MS = 100;
export const RECONNECT_LATEST_MS = 1_000;

/**
 * How a link was lost. `broken`: its connection broke. `silent`: the node's beats stopped, or it answers no request. `refused`:
 * a new connection was refused or ended at once, so the node's process is gone.
 */
export type LinkLoss = 'broken' | 'silent' | 'refused';

/** Why a link is not up: a closed set, whose members `/ready` and a metric show. */
export const LINK_TROUBLES = [
  ...LINK_REFUSALS,
  'unreachable',
  'tls_refused',
  'no_answer',
  'meddled',
  'lost',
  'too_many_files',
] as const;
export type LinkTrouble = (typeof LINK_TROUBLES)[number];

/** The advice for an operator about each trouble. */
export const LINK_ADVICE: Readonly<Record<LinkTrouble, string>> = {
  other_secret:
    'give this edge and that node the same PLENARY_CLUSTER_SECRET (or a PLENARY_NODE_KEY made of it) and PLENARY_NAMESPACE',
  other_node: 'another node has this address: mend PLENARY_CONTROL_URL of the node that is named',
  other_version: 'bring this edge and that node to the same release',
  unreachable: 'see whether this edge reaches that PLENARY_CONTROL_URL: its name, its port, the firewall',
  tls_refused:
    'see that PLENARY_TLS_CA_FILE of this edge holds the authority of that certificate, that it names the host of PLENARY_CONTROL_URL and has not run out, and that the node has a certificate at all (PLENARY_TLS_CERT_FILE)',
  no_answer: 'see whether that node hangs, or something else listens at its PLENARY_CONTROL_URL',
  meddled:
    'see who is between this edge and that PLENARY_CONTROL_URL: what they say to each other is changed, lost or repeated on the way',
  lost: 'see whether that node lives',
  too_many_files: `raise the file limit of this edge (${RAISE_FILE_LIMIT})`,
};

/**
 * How long a link may be down before its node counts as lost, in milliseconds. A broken connection may be back at once; after
 * `silent` the node has missed three beats already (SPEC CL3, CL18).
 */
export const NODE_LOST_AFTER_MS: Readonly<Record<LinkLoss, number>> = {
  broken: 1_000,
  silent: 500,
  refused: 0,
};

/**
 * Whether a lost link means that its node stopped in an orderly way: the node itself closed the link, and it had withdrawn its
 * registration before (SPEC LC22).
 * @param reason - Socket.IO's reason of the disconnect
 */
export async function hasStopped(reason: string, isAnnounced: () => Promise<boolean>): Promise<boolean> {
  return reason === 'io server disconnect' && !(await isAnnounced());
}

/** Why a link ended whose other end failed to prove itself. If both ends had done so before, a third party changes their messages. */
export function linkTroubleOf(error: PlenaryError, isUp: boolean): LinkTrouble {
  if (isUp) return 'meddled';
  return error.code === 'timed_out' ? 'no_answer' : linkRefusalOf(error);
}

/**
 * How long the edge waits before it opens a link again that either end closed, in milliseconds. A link that was up is opened as
 * soon as a broken one, so that an attacker who changes messages does no more harm than one who cuts the line (SPEC CL28).
 */
export const reconnectAfterMs = (wasUp: boolean): number =>
  wasUp ? RECONNECT_FIRST_MS : RECONNECT_LATEST_MS;

/**
 * The system's error codes when no process listens: the host refuses the connection, or a proxy before it accepts and then
 * resets it. A running node that refuses this edge sends its reason instead.
 */
const REFUSALS: ReadonlySet<unknown> = new Set(['ECONNREFUSED', 'ECONNRESET']);

/** Why a connection failed, with the system's message: without it a refused certificate looks like any other fault. */
export function describeFailure(failure: Error): string {
  const cause = causeOf(failure);
  // OpenSSL adds a thread number and positions in its source, so the same fault would look like a new one each time.
  const detail =
    cause?.message.replace(/\b[0-9A-F]{8,}:(error:[^:]*:[^:]*:[^:]*:[^:]*):[^]*$/, '$1').trim() ?? '';
  return detail === '' ? failure.message : `${failure.message}: ${detail}`;
}

/** Returns the WebSocket's error, which Engine.IO wraps in an event. */
function causeOf(failure: Error): Error | undefined {
  const event = 'description' in failure ? failure.description : undefined;
  const cause = typeof event === 'object' && event !== null && 'error' in event ? event.error : undefined;
  return cause instanceof Error ? cause : undefined;
}

/** Why a connection could not be made. */
export function troubleOfFailure(failure: Error): LinkTrouble {
  const cause = causeOf(failure) ?? failure;
  if (lacksFiles(cause)) return 'too_many_files';
  if (failure.message === 'timeout') return 'no_answer';
  return isTlsFault(cause) ? 'tls_refused' : 'unreachable';
}

/** Whether a connection failed because no process listens at its address; for a host name, at any of its addresses. */
export function isRefusal(failure: unknown): boolean {
  if (!(failure instanceof Error)) return false;
  if ('code' in failure) return REFUSALS.has(failure.code);
  return isRefusal(causeOf(failure));
}
