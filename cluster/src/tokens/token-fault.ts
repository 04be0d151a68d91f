/** Describes the fault of a token so that its developer can act on it (SPEC TK6). */
import { errors } from 'jose';
import type { JWTPayload } from 'jose';
import type { z } from 'zod';
import { PlenaryError } from '../errors.ts';
import type { ErrorCode, ErrorDetail } from '../errors.ts';

/**
 * The tolerated difference between the clocks of makers and checkers of tokens, in seconds, either way: one number
 * for every token and every time in it.
 */
export const CLOCK_LEEWAY_SECONDS = 30;

/** Every reason for refusing a token, and its text for developers. `docs/protocol.md` has the same table. */
export const TOKEN_FAULTS = {
  not_a_token: 'It is not a signed JWT.',
  unknown_key: 'No such key is known here: see kid, and iss where the key is a published one.',
  wrong_algorithm: 'Its alg is not that of the key.',
  bad_signature: 'Its signature is not by the key that its kid and iss name.',
  missing: 'The claim is missing.',
  malformed: 'The claim does not have the form that it must have.',
  too_long: 'The claim is longer than it may be.',
  wrong_issuer: 'iss is not the API key that signed it.',
  wrong_audience: 'aud is not that of a token for this use.',
  in_future: 'The time lies in the future: the clock of its maker is ahead, or the one here is behind.',
  expired: 'The time is over: the token was made too long ago, or the clock of its maker is behind.',
  too_old: 'It was issued longer ago than a token of its kind is taken.',
  lives_too_long: 'exp is further from iat than a token of its kind may live.',
} as const satisfies Record<string, string>;
export type TokenFault = keyof typeof TOKEN_FAULTS;

const EXPIRED: ReadonlySet<TokenFault> = new Set<TokenFault>(['expired', 'too_old']);
/** The largest number in an error: beyond it a number says no more, and might be printed as no number at all. */
const MOST_SECONDS = 1_000_000_000;

/** The error of a token with this fault. It names the claim, but never contains values of claims or keys. */
export function tokenFault(
  fault: TokenFault,
  about: { readonly claim?: string; readonly seconds?: number; readonly more?: string } = {},
  options?: ErrorOptions,
): PlenaryError {
  const { claim, more } = about;
  const seconds =
    about.seconds === undefined ? undefined : Math.min(Math.round(Math.abs(about.seconds)), MOST_SECONDS);
  const by = seconds === undefined ? undefined : `by ${seconds} s`;
  const particulars = [claim, by, more].filter((part) => part !== undefined).join(', ');
  const text = particulars === '' ? TOKEN_FAULTS[fault] : `${TOKEN_FAULTS[fault]} (${particulars})`;
  const code: ErrorCode = EXPIRED.has(fault) ? 'token_expired' : 'token_invalid';
  const detail: ErrorDetail = { reason: fault, claim, seconds };
  return new PlenaryError(code, text, { ...options, detail });
}

/** The error for jose's verdict on a token. @returns `undefined` if the thrown value is no verdict on the token */
export function faultOfVerdict(thrown: unknown, nowSeconds: number): PlenaryError | undefined {
  if (thrown instanceof errors.JWTExpired || thrown instanceof errors.JWTClaimValidationFailed) {
    return faultOfClaim(thrown, nowSeconds);
  }
  if (thrown instanceof errors.JWSSignatureVerificationFailed) {
    return tokenFault('bad_signature', {}, { cause: thrown });
  }
  if (thrown instanceof errors.JOSEAlgNotAllowed) {
    return tokenFault('wrong_algorithm', { claim: 'alg' }, { cause: thrown });
  }
  return thrown instanceof errors.JOSEError ? tokenFault('not_a_token', {}, { cause: thrown }) : undefined;
}

function faultOfClaim(
  thrown: errors.JWTExpired | errors.JWTClaimValidationFailed,
  nowSeconds: number,
): PlenaryError {
  const { claim, reason, payload } = thrown;
  const options = { cause: thrown };
  if (reason === 'missing') return tokenFault('missing', { claim }, options);
  if (reason !== 'check_failed') return tokenFault('malformed', { claim }, options);
  const tolerated = `of which ${CLOCK_LEEWAY_SECONDS} s are tolerated`;
  switch (claim) {
    case 'iss':
      return tokenFault('wrong_issuer', { claim }, options);
    case 'aud':
      return tokenFault('wrong_audience', { claim }, options);
    case 'exp':
      return tokenFault(
        'expired',
        { claim, seconds: since(payload.exp, nowSeconds), more: tolerated },
        options,
      );
    case 'nbf':
      return tokenFault(
        'in_future',
        { claim, seconds: since(payload.nbf, nowSeconds), more: tolerated },
        options,
      );
    case 'iat': {
      const seconds = since(payload.iat, nowSeconds);
      if (thrown instanceof errors.JWTExpired) return tokenFault('too_old', { claim, seconds }, options);
      return tokenFault('in_future', { claim, seconds, more: tolerated }, options);
    }
    default:
      return tokenFault('malformed', { claim }, options);
  }
}

const since = (at: JWTPayload['iat'], nowSeconds: number): number => nowSeconds - (at ?? nowSeconds);

/** The error for the first claim that does not fit its schema. */
export function faultOfSchema(error: z.ZodError, payload: JWTPayload): PlenaryError {
  const [issue] = error.issues;
  const claim = issue?.path.map(String).join('.');
  return tokenFault(faultOfIssue(issue, payload), {
    ...(claim === undefined || claim === '' ? {} : { claim: claim.slice(0, 64) }),
    ...(issue === undefined ? {} : { more: issue.message }),
  });
}

function faultOfIssue(issue: z.core.$ZodIssue | undefined, payload: JWTPayload): TokenFault {
  if (issue?.code === 'too_big') return 'too_long';
  const [claim] = issue?.path ?? [];
  return typeof claim === 'string' && !Object.hasOwn(payload, claim) ? 'missing' : 'malformed';
}
