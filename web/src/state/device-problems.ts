import { isFramed } from './parent-tokens.ts';

/** Why a device cannot be used. */
export type DeviceProblem =
  | 'denied'
  | 'denied-by-system'
  /** By the page around this one. */
  | 'denied-by-page'
  /** By the person, or by the page around this one. */
  | 'denied-in-frame'
  | 'none'
  | 'in-use'
  | 'insecure'
  | 'unsupported'
  | 'gone'
  | 'silenced'
  | 'unknown';
export type DeviceKind = 'microphone' | 'camera' | 'screen';

/** Whether the page around this one lets it use a device; `unknown` where the browser does not tell. */
export type PagePolicy = 'allowed' | 'forbidden' | 'unknown';

/** What the page around this one allows, which a person cannot change in the address bar. */
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
 * Reads the reason from what `getUserMedia` or `getDisplayMedia` threw (names after the W3C "Media Capture and Streams").
 * @param policy - of the page around this one
 */
export function deviceProblem(thrown: unknown, policy: PagePolicy = 'allowed'): DeviceProblem {
  const { name, message } = thrown instanceof Error ? thrown : { name: '', message: '' };
  switch (name) {
    case 'NotAllowedError':
      // Chrome says these in its message only.
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
