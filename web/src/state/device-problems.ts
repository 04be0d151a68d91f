/** Why a device cannot be used. */
export type DeviceProblem =
  | 'denied'
  | 'denied-by-system'
  | 'none'
  | 'in-use'
  | 'insecure'
  | 'unsupported'
  | 'gone'
  | 'silenced'
  | 'unknown';
export type DeviceKind = 'microphone' | 'camera' | 'screen';

/** Reads the reason from what `getUserMedia` threw (names after the W3C "Media Capture and Streams"). */
export function deviceProblem(thrown: unknown): DeviceProblem {
  const name = thrown instanceof Error ? thrown.name : '';
  switch (name) {
    case 'NotAllowedError':
      // Chrome says so in its message only.
      return thrown instanceof Error && /by system/i.test(thrown.message) ? 'denied-by-system' : 'denied';
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
