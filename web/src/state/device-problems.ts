import { isFramed } from './parent-tokens.ts';

/** Why a device cannot be used. */
export type DeviceProblem =
  | 'denied'
  | 'denied-by-system'
  /** Denied by the embedding page. */
  | 'denied-by-page'
  /** Denied by the person or by the embedding page. */
  | 'denied-in-frame'
  | 'none'
  | 'in-use'
  | 'insecure'
  | 'unsupported'
  | 'gone'
  | 'silenced'
  | 'unknown';
export type DeviceKind = 'microphone' | 'camera' | 'screen';

/** Whether the embedding page allows a device; `unknown` when the browser does not report it. */
export type PagePolicy = 'allowed' | 'forbidden' | 'unknown';

/** Reads the policy of the embedding page, which the person cannot change in the address bar. */
export function pagePolicy(kind: DeviceKind): PagePolicy {
  if (!isFramed()) return 'allowed';
  const policy: unknown = Reflect.get(document, 'featurePolicy');
  if (typeof policy !== 'object' || policy === null || !('allowsFeature' in policy)) return 'unknown';
  const { allowsFeature } = policy;
  if (typeof allowsFeature !== 'function') return 'unknown';
  return allowsFeature.call(policy, kind === 'screen' ? 'display-capture' : kind) === true
    ? 'allowed'
    : 'forbidden';
}

/**
 * Reads the reason from an error of `getUserMedia` or `getDisplayMedia` (names after the W3C "Media Capture and Streams").
 * @param policy - policy of the embedding page
 */
export function deviceProblem(thrown: unknown, policy: PagePolicy = 'allowed'): DeviceProblem {
  const { name, message } = thrown instanceof Error ? thrown : { name: '', message: '' };
  switch (name) {
    case 'NotAllowedError':
      // Chrome distinguishes these only in the message.
      if (/by system/i.test(message)) return 'denied-by-system';
      if (policy === 'forbidden' || /permissions policy/i.test(message)) return 'denied-by-page';
      return policy === 'unknown' ? 'denied-in-frame' : 'denied';
    case 'SecurityError':
      return 'denied';
    case 'NotFoundError':
    case 'OverconstrainedError':
      return 'none';
    case 'NotReadableError':
    case 'AbortError':
      return 'in-use';
    case 'TypeError':
      return 'insecure';
    case 'NotSupportedError':
      return 'unsupported';
    default:
      return 'unknown';
  }
}
