import type { Secrets } from '../keys/derive.ts';
import { OPAQUE_TEXT } from '../protocol/text.ts';
import {
  ADMIN_CHALLENGE,
  ADMIN_CHALLENGE_PATH,
  ADMIN_PROOF_HEADER,
  adminKey,
  answerProof,
  authorizationOf,
} from './admin-proof.ts';
import type { AdminChallenge, AdminSubject } from './admin-proof.ts';

const ANSWER_WITHIN_MS = 5_000;

/** The answer of a process to its operator; its proof was checked. */
export interface AdminAnswered {
  readonly status: number;
  readonly body: unknown;
}

/** A process did not answer like one of this cluster; the message says why. */
export class AdminFault extends Error {
  override readonly name = 'AdminFault';
}

export interface AdminTarget {
  /** The URL of the operators' port. */
  readonly url: string;
  /** The expected process; absent if a person named the address. */
  readonly subject?: AdminSubject | undefined;
}

/** Enough for a thousand rooms or people with the longest names. */
const ANSWER_BODY = OPAQUE_TEXT.refine((text) => text.length <= 1_048_576, 'is too long');

/**
 * Sends an operator's request to a process. No part of it can be reused elsewhere: it is bound to this process, this
 * method, path and body, and to a challenge that is valid once (SPEC OP2, OP8).
 * @returns the answer; status 401 if the process knows none of these tokens
 * @throws AdminFault
 */
export async function askAdmin(
  target: AdminTarget,
  tokens: Secrets,
  request: { readonly method: string; readonly path: string; readonly body?: string },
): Promise<AdminAnswered> {
  let answered: AdminAnswered = { status: 401, body: undefined };
  for (const token of tokens) {
    answered = await askWith(target, token, { body: '', ...request });
    if (answered.status !== 401) break;
  }
  return answered;
}

async function askWith(
  { url, subject }: AdminTarget,
  token: string,
  request: { readonly method: string; readonly path: string; readonly body: string },
): Promise<AdminAnswered> {
  const challenge = await askChallenge(url, subject);
  if (typeof challenge === 'number') return { status: challenge, body: undefined };
  const key = adminKey(token, challenge);
  const { method, path, body } = request;
  const response = await send(new URL(path, url), {
    method,
    headers: { authorization: authorizationOf(key, challenge.challenge, request) },
    ...(body === '' ? {} : { body }),
  });
  const text = ANSWER_BODY.parse(await response.text());
  // A process without the token cannot prove a refusal either.
  if (response.status === 401) return { status: 401, body: undefined };
  const proof = answerProof(key, challenge.challenge, response.status, text);
  if (response.headers.get(ADMIN_PROOF_HEADER) !== proof) {
    throw new AdminFault(`${url} does not prove to be ${challenge.id}: it does not know the admin token.`);
  }
  return { status: response.status, body: JSON.parse(text) };
}

async function askChallenge(
  url: string,
  subject: AdminSubject | undefined,
): Promise<AdminChallenge | number> {
  const response = await send(new URL(ADMIN_CHALLENGE_PATH, url), { method: 'POST' });
  const text = await response.text();
  if (response.status !== 200) return response.status;
  const challenge = ADMIN_CHALLENGE.safeParse(parse(text));
  if (!challenge.success) throw new AdminFault(`${url} is no process of Plenary.`);
  const { kind, id } = challenge.data;
  if (subject !== undefined && (subject.id !== id || subject.kind !== kind)) {
    throw new AdminFault(`${url} is ${kind} ${id}, not ${subject.kind} ${subject.id}.`);
  }
  return challenge.data;
}

async function send(url: URL, init: RequestInit): Promise<Response> {
  try {
    return await fetch(url, { ...init, redirect: 'error', signal: AbortSignal.timeout(ANSWER_WITHIN_MS) });
  } catch (cause) {
    const why = cause instanceof Error && cause.cause instanceof Error ? ` (${cause.cause.message})` : '';
    throw new AdminFault(`${url.origin} does not answer${why}.`, { cause });
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // The schema reports what is missing.
  }
}
