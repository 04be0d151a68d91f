/** Why a control link is down, what an operator can do about it, and how soon it is opened again: decided here, acted on by the link. */
import { isTlsFault, lacksFiles, LINK_REFUSALS, linkRefusalOf, RAISE_FILE_LIMIT } from '@plenary/cluster';
import type { PlenaryError } from '@plenary/cluster';

/** Pauses between attempts to connect: the first one, and the longest. */
export const RECONNECT_FIRST_MS = 100;
export const RECONNECT_LATEST_MS = 1_000;

/**
 * How a link was lost: its connection broke; the node's beats stopped, or it answers no request; or a new connection was refused,
 * or ended at once, so that the node's process is gone.
 */
export type LinkLoss = 'broken' | 'silent' | 'refused';

/** Why a link is not up: a closed set, which `/ready` and a metric name. */
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

/** What an operator does about each trouble, and where. */
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
 * A node whose link is down for longer is lost, in milliseconds. A connection may break and come again at once; where the
 * beats have stopped, the node has said nothing for three of them already (SPEC CL3, CL18).
 */
export const NODE_LOST_AFTER_MS: Readonly<Record<LinkLoss, number>> = {
  broken: 1_000,
  silent: 500,
  refused: 0,
};

/** Why a link ended whose other end failed to prove itself. Once both have done so, somebody between them changes their messages. */
export function linkTroubleOf(error: PlenaryError, isUp: boolean): LinkTrouble {
  if (isUp) return 'meddled';
  return error.code === 'timed_out' ? 'no_answer' : linkRefusalOf(error);
}

/**
 * How long the edge waits before it opens a link again that either end has ended. A link that was up is opened as soon as one that
 * breaks, so that an attacker who changes messages does no more harm than one who cuts the line (SPEC CL28).
 */
export const reconnectAfterMs = (wasUp: boolean): number =>
  wasUp ? RECONNECT_FIRST_MS : RECONNECT_LATEST_MS;

/**
 * How a system says that nobody listens: the host itself refuses, or a proxy before it, which accepts the connection first, resets
 * it. A node that lives and refuses this edge gives its reason in words.
 */
const REFUSALS: ReadonlySet<unknown> = new Set(['ECONNREFUSED', 'ECONNRESET']);

/** Why a connection failed, with the system's own words: a refused certificate looks like any other fault without them. */
export function describeFailure(failure: Error): string {
  const cause = causeOf(failure);
  // OpenSSL begins with the number of a thread and ends with places in its source: the same fault would look like another one.
  const said =
    cause?.message.replace(/\b[0-9A-F]{8,}:(error:[^:]*:[^:]*:[^:]*:[^:]*):[^]*$/, '$1').trim() ?? '';
  return said === '' ? failure.message : `${failure.message}: ${said}`;
}

/** Engine.IO hands on what its WebSocket said: an event with the error in it. */
function causeOf(failure: Error): Error | undefined {
  const said = 'description' in failure ? failure.description : undefined;
  const cause = typeof said === 'object' && said !== null && 'error' in said ? said.error : undefined;
  return cause instanceof Error ? cause : undefined;
}

/** Why a connection could not be made. */
export function troubleOfFailure(failure: Error): LinkTrouble {
  const cause = causeOf(failure) ?? failure;
  if (lacksFiles(cause)) return 'too_many_files';
  if (failure.message === 'timeout') return 'no_answer';
  return isTlsFault(cause) ? 'tls_refused' : 'unreachable';
}

/** Whether a connection failed because nobody listens at its address. Of a host name, every address must say so. */
export function isRefusal(failure: unknown): boolean {
  if (!(failure instanceof Error)) return false;
  if ('code' in failure) return REFUSALS.has(failure.code);
  return isRefusal(causeOf(failure));
}
