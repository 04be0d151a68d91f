/** What this browser remembers between meetings. Missing or broken storage means nothing is remembered, no more. */
const KEYS = {
  displayName: 'plenary.displayName',
  microphone: 'plenary.microphone',
  camera: 'plenary.camera',
} as const;
export type Preference = keyof typeof KEYS;

export function recall(preference: Preference): string | undefined {
  try {
    return globalThis.localStorage.getItem(KEYS[preference]) ?? undefined;
  } catch {
    // Storage is forbidden in some private windows and frames; the page works without it.
    return undefined;
  }
}

export function remember(preference: Preference, value: string): void {
  try {
    globalThis.localStorage.setItem(KEYS[preference], value);
  } catch {
    // As above.
  }
}
