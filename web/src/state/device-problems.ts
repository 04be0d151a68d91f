/** Why a device cannot be used. */
export type DeviceProblem = 'denied' | 'none' | 'in-use' | 'insecure' | 'unsupported' | 'unknown';
export type DeviceKind = 'microphone' | 'camera' | 'screen';

/** Reads the reason from what `getUserMedia` threw (names after the W3C "Media Capture and Streams"). */
export function deviceProblem(thrown: unknown): DeviceProblem {
  const name = thrown instanceof Error ? thrown.name : '';
  switch (name) {
    case 'NotAllowedError':
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
    default:
      return 'unknown';
  }
}

/** What a person reads. */
export function explainProblem(kind: DeviceKind, problem: DeviceProblem): string {
  const device = kind === 'screen' ? 'screen' : kind;
  switch (problem) {
    case 'denied':
      return kind === 'screen'
        ? 'The screen was not shared: the browser or the system did not allow it.'
        : `Your ${device} is blocked. Allow it in the browser’s address bar, then try again.`;
    case 'none':
      return `No ${device} was found. Plug one in, or join without it.`;
    case 'in-use':
      return `Your ${device} is used by another program. Close that, then try again.`;
    case 'insecure':
      return `The browser gives a ${device} only to pages opened over https or localhost.`;
    case 'unsupported':
      return `This browser cannot use a ${device} here.`;
    case 'unknown':
      return `Your ${device} could not be started.`;
  }
}
