import { oneLine } from './protocol/text.ts';

/**
 * The closed table of errors. A program decides by `code` and `retryable`; a person reads the message that the client
 * derives from the code. Retired codes stay reserved. SPEC ER1.
 */
export const ERROR_TABLE = {
  malformed_message: { retryable: false, summary: 'The message does not fit its schema.' },
  message_too_large: { retryable: false, summary: 'The message is larger than the limit.' },
  unknown_message: { retryable: false, summary: 'There is no message with this name.' },
  out_of_order: { retryable: false, summary: 'The message does not fit the state of this session.' },
  protocol_version: {
    retryable: false,
    summary: 'This client speaks another version of the protocol: reload it.',
  },
  token_invalid: { retryable: false, summary: 'The token is not valid here.' },
  token_expired: { retryable: false, summary: 'The token has expired: request a new one.' },
  token_wrong_room: { retryable: false, summary: 'The token is for another room.' },
  keys_unavailable: {
    retryable: true,
    summary: 'The keys that verify this token are being fetched: try again.',
  },
  token_unavailable: { retryable: true, summary: 'The application gave no usable join token.' },
  access_revoked: { retryable: false, summary: 'Access to this room was revoked.' },
  guests_not_allowed: {
    retryable: false,
    summary: 'Guests may not join here: a join token of an application is needed.',
  },
  token_replayed: { retryable: false, summary: 'A newer token of this session is in use: join again.' },
  proof_invalid: {
    retryable: false,
    summary: 'The proof was not made with the key of this session, or not for this connection.',
  },
  insecure_context: {
    retryable: false,
    summary: 'The page is not served securely, so that the browser has no WebCrypto.',
  },
  browser_failed: {
    retryable: false,
    summary: 'The browser lacks or refused something that the client needs, such as WebRTC.',
  },
  forbidden: { retryable: false, summary: 'The token does not grant this.' },
  session_gone: { retryable: false, summary: 'The session has ended: join again.' },
  rate_limited: { retryable: true, summary: 'Too many messages: slow down.' },
  flooding: { retryable: false, summary: 'The connection was dropped because it kept sending too much.' },
  room_full: { retryable: true, summary: 'The room has reached its limit of people.' },
  joined_too_often: {
    retryable: true,
    summary: 'This person is already in the room as many times as allowed.',
  },
  tenant_limit_reached: {
    retryable: true,
    summary: 'The application has reached its limit of people or rooms.',
  },
  limit_reached: { retryable: false, summary: 'A limit of this session is reached.' },
  no_media_node: { retryable: true, summary: 'No media node can take one more person now.' },
  media_unavailable: { retryable: true, summary: 'The media node does not answer.' },
  media_lost: { retryable: true, summary: 'The media node lost this peer: open a new media session.' },
  store_unavailable: {
    retryable: true,
    summary: 'The store does not answer: running meetings continue, joins have to wait.',
  },
  stale_epoch: { retryable: true, summary: 'A newer placement of this peer exists.' },
  peer_not_found: { retryable: false, summary: 'There is no such peer here.' },
  track_not_found: { retryable: false, summary: 'There is no such track.' },
  consumer_not_found: { retryable: false, summary: 'There is no such consumer.' },
  transport_not_found: { retryable: false, summary: 'There is no such transport.' },
  cannot_consume: { retryable: false, summary: 'The client cannot decode this track.' },
  invalid_media_parameters: {
    retryable: false,
    summary: 'These media parameters do not fit each other or the cluster.',
  },
  port_slice_overlap: { retryable: false, summary: 'Another media node owns ports of this slice.' },
  id_taken: { retryable: true, summary: 'Another living process has this id.' },
  unauthorised: { retryable: false, summary: 'The control link is not authenticated.' },
  replaced: { retryable: false, summary: 'Another connection has taken over this session.' },
  timed_out: { retryable: true, summary: 'The answer did not arrive in time.' },
  shutting_down: { retryable: true, summary: 'This process is stopping: use another one.' },
  internal: { retryable: true, summary: 'An unexpected error; it is in the log with this request.' },
} as const satisfies Record<string, { retryable: boolean; summary: string }>;

export type ErrorCode = keyof typeof ERROR_TABLE;

/** The exact fault, for a developer's program: which claim of a token, for which reason, and by how much. */
export interface ErrorDetail {
  readonly reason: string;
  readonly claim?: string | undefined;
  readonly seconds?: number | undefined;
}

/** An error on the wire: the code, a sentence for developers, and whether the same request may succeed later. */
export interface WireError {
  readonly code: ErrorCode;
  readonly message: string;
  readonly retryable: boolean;
  readonly detail?: ErrorDetail | undefined;
}

const isErrorCode = (code: string): code is ErrorCode => Object.hasOwn(ERROR_TABLE, code);

/** All codes, in the order of the table. */
export const ERROR_CODES: readonly ErrorCode[] = Object.keys(ERROR_TABLE).filter(isErrorCode);

/** An error of the closed table, thrown inside a process and sent as {@link WireError}. */
export class PlenaryError extends Error {
  override readonly name = 'PlenaryError';
  readonly code: ErrorCode;
  readonly detail: ErrorDetail | undefined;
  /** Whether the same request may succeed later; for an error from the wire, as the other side says. */
  readonly retryable: boolean;

  /**
   * @param code - the row of the table
   * @param more - the exact fault, for developers; must not contain secrets, since it reaches the client
   */
  constructor(
    code: ErrorCode,
    more?: string,
    options?: ErrorOptions & {
      readonly detail?: ErrorDetail | undefined;
      /** Replaces the table's value, for an error from the wire. */
      readonly retryable?: boolean;
    },
  ) {
    super(more === undefined ? ERROR_TABLE[code].summary : `${ERROR_TABLE[code].summary} ${more}`, options);
    this.code = code;
    this.detail = options?.detail;
    this.retryable = options?.retryable ?? ERROR_TABLE[code].retryable;
  }

  toWire(): WireError {
    const { code, retryable, detail } = this;
    const error = { code, message: oneLine(this.message.slice(0, 500)), retryable };
    return detail === undefined ? error : { ...error, detail };
  }

  static fromWire(error: WireError): PlenaryError {
    const { code, detail, retryable } = error;
    const rebuilt = new PlenaryError(code, undefined, { detail, retryable });
    rebuilt.message = error.message;
    return rebuilt;
  }
}

/** Turns any thrown value into an error of the table; an unknown one becomes `internal` and keeps its cause. */
export function toPlenaryError(thrown: unknown): PlenaryError {
  return thrown instanceof PlenaryError ? thrown : new PlenaryError('internal', undefined, { cause: thrown });
}

/** Does nothing at run time; fails to compile if a union has a member that the code does not handle. */
export function assertNever(value: never): never {
  throw new PlenaryError('internal', `Unhandled value ${JSON.stringify(value)}.`);
}
