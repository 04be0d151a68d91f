/**
 * How operators and processes prove their identity to each other (SPEC OP2, OP8). The process gives a challenge, the
 * operator's tool proves with it that it knows the admin token, and the answer proves that the process knows it too.
 * The token itself is never sent, and a proof is valid for one request to one process.
 */
import { createHash, createHmac, createSecretKey, randomBytes, timingSafeEqual } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { z } from 'zod';
import type { Clock } from '../clock.ts';
import { deriveKey } from '../keys/derive.ts';

export const ADMIN_CHALLENGE_PATH = '/admin/challenge';
/** The header that carries the proof of an answer. */
export const ADMIN_PROOF_HEADER = 'plenary-proof';
/** How long a challenge is valid, in milliseconds. */
const CHALLENGE_MS = 30_000;
const SCHEME = 'Plenary';

/** The identity of a process towards its operators. */
export const ADMIN_SUBJECT = z.object({
  kind: z.enum(['edge', 'media-node']),
  id: z
    .string()
    .max(64)
    .regex(/^[A-Za-z0-9_-]{1,64}$/),
});
export type AdminSubject = z.infer<typeof ADMIN_SUBJECT>;

export const ADMIN_CHALLENGE = ADMIN_SUBJECT.extend({
  challenge: z
    .string()
    .max(128)
    .regex(/^[A-Za-z0-9_-]{16,128}$/),
});
export type AdminChallenge = z.infer<typeof ADMIN_CHALLENGE>;

export interface ProvedRequest {
  readonly method: string;
  readonly path: string;
  readonly body: string;
}

/** The key of one process for its operators; it is useless at any other process. */
export function adminKey(token: string, { kind, id }: AdminSubject): KeyObject {
  return deriveKey(token, `admin:${kind}:${id}`);
}

const ADMIN_KEY_VERSION = 'pak1';

/** The key of one process for its operators as text, for its `PLENARY_ADMIN_KEY`. */
export function adminKeyText(token: string, subject: AdminSubject): string {
  const key = adminKey(token, subject).export().toString('base64url');
  return [ADMIN_KEY_VERSION, subject.kind, subject.id, key].join('.');
}

/** An admin key, and the process that it belongs to. */
export interface AdminKey {
  readonly subject: AdminSubject;
  readonly key: KeyObject;
}

/** @returns `undefined` if the text is no admin key */
export function parseAdminKey(text: string): AdminKey | undefined {
  const [version, kind, id, key = '', ...more] = text.split('.');
  const subject = ADMIN_SUBJECT.safeParse({ kind, id });
  const isWhole = version === ADMIN_KEY_VERSION && more.length === 0 && /^[A-Za-z0-9_-]{43}$/.test(key);
  if (!isWhole || !subject.success) return undefined;
  return { subject: subject.data, key: createSecretKey(Buffer.from(key, 'base64url')) };
}

/** One key of a process, or several of different admin tokens joined by commas. */
export const adminKeysSetting = z.string().transform((text, context): readonly AdminKey[] => {
  const keys = text.split(',').map((part) => parseAdminKey(part.trim()));
  const whole = keys.filter((key) => key !== undefined);
  // The text itself must not be printed.
  if (whole.length < keys.length || whole.length > 4) {
    context.addIssue('is not what `plenaryctl admin-key` prints, or was changed');
  }
  return whole;
});

const mac = (key: KeyObject, parts: readonly unknown[]): Buffer =>
  createHmac('sha256', key).update(JSON.stringify(parts)).digest();
const digestOf = (body: string): string => createHash('sha256').update(body).digest('base64url');

function requestProof(key: KeyObject, challenge: string, { method, path, body }: ProvedRequest): Buffer {
  return mac(key, ['request', challenge, method, path, digestOf(body)]);
}

export function authorizationOf(key: KeyObject, challenge: string, request: ProvedRequest): string {
  return `${SCHEME} ${challenge}.${requestProof(key, challenge, request).toString('base64url')}`;
}

export function answerProof(key: KeyObject, challenge: string, status: number, body: string): string {
  return mac(key, ['answer', challenge, status, digestOf(body)]).toString('base64url');
}

/** Compares in constant time. */
export function isSameProof(given: string, expected: Buffer): boolean {
  const bytes = Buffer.from(given, 'base64url');
  return bytes.length === expected.length && timingSafeEqual(bytes, expected);
}

/** The result of a request's proof. */
export interface Proved {
  /** Proves an answer to it. */
  prove(status: number, body: string): string;
}

/**
 * Checks proofs for the process. It stores no challenges: each carries its own seal, so that a stranger who requests
 * thousands takes no place from operators. It remembers only used ones, until they expire.
 */
export class AdminDoor {
  readonly #keys: readonly KeyObject[];
  readonly #clock: Clock;
  readonly #seal = randomBytes(32);
  readonly #used = new Map<string, number>();

  /** @param secrets - tokens of operators, or keys of this process that were derived from them */
  constructor(secrets: readonly (string | KeyObject)[], subject: AdminSubject, clock: Clock) {
    this.#keys = secrets.map((secret) => (typeof secret === 'string' ? adminKey(secret, subject) : secret));
    this.#clock = clock;
  }

  challenge(): string {
    const head = Buffer.alloc(24);
    head.writeDoubleBE(this.#clock.monotonicMs() + CHALLENGE_MS);
    randomBytes(16).copy(head, 8);
    return Buffer.concat([head, this.#sealOf(head)]).toString('base64url');
  }

  /** @returns `undefined` where the authorization proves nothing, or did so before */
  check(authorization: string | undefined, request: ProvedRequest): Proved | undefined {
    const [, challenge = '', proof = ''] =
      /^Plenary ([A-Za-z0-9_-]{16,128})\.([A-Za-z0-9_-]{43})$/.exec(authorization ?? '') ?? [];
    const untilMs = this.#validUntil(challenge);
    if (untilMs === undefined || this.#used.has(challenge)) return undefined;
    const key = this.#keys.find((candidate) =>
      isSameProof(proof, requestProof(candidate, challenge, request)),
    );
    if (key === undefined) return undefined;
    this.#forgetOld();
    this.#used.set(challenge, untilMs);
    return { prove: (status, body) => answerProof(key, challenge, status, body) };
  }

  #validUntil(challenge: string): number | undefined {
    const bytes = Buffer.from(challenge, 'base64url');
    if (bytes.length !== 56) return undefined;
    const head = bytes.subarray(0, 24);
    if (!timingSafeEqual(bytes.subarray(24), this.#sealOf(head))) return undefined;
    const untilMs = head.readDoubleBE();
    return untilMs > this.#clock.monotonicMs() ? untilMs : undefined;
  }

  #sealOf(head: Buffer): Buffer {
    return createHmac('sha256', this.#seal).update(head).digest();
  }

  #forgetOld(): void {
    const nowMs = this.#clock.monotonicMs();
    // Challenges are in the order of their use: those before a valid one stay at most a little longer.
    for (const [challenge, untilMs] of this.#used) {
      if (untilMs > nowMs) break;
      this.#used.delete(challenge);
    }
  }
}
