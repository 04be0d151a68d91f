/**
 * What this browser remembers. Missing or broken storage means that nothing is remembered, and that a page which is loaded once
 * more begins with its devices off.
 *
 * That a microphone or camera was switched off is kept like a name, beyond the tab and the meeting: who was not heard and seen
 * is not to be so again before saying so, also after a crash or in another tab. The tab keeps it as well, so that what is
 * switched on in one tab is not on after a reload of another. Whom one was in a room belongs to the tab.
 */
const KEYS = {
  displayName: 'plenary.displayName',
  microphone: 'plenary.microphone',
  camera: 'plenary.camera',
  microphoneOff: 'plenary.microphoneOff',
  cameraOff: 'plenary.cameraOff',
} as const;
export type Preference = keyof typeof KEYS;

export function recall(preference: Preference): string | undefined {
  return read('localStorage', KEYS[preference]);
}

export function remember(preference: Preference, value: string): void {
  write('localStorage', KEYS[preference], value);
}

/** Whether a person switched the device off, in this tab or any other, and not on again since. */
export function wasSwitchedOff(kind: 'microphone' | 'camera'): boolean {
  if (!canRemember()) return isLoadedAgain();
  const key = KEYS[`${kind}Off`];
  return read('sessionStorage', key) === 'yes' || read('localStorage', key) === 'yes';
}

export function rememberSwitch(kind: 'microphone' | 'camera', enabled: boolean): void {
  const key = KEYS[`${kind}Off`];
  for (const storage of ['sessionStorage', 'localStorage'] as const)
    write(storage, key, enabled ? 'no' : 'yes');
}

/** A storage that is full, or closed to a frame, may be read and not written. */
function canRemember(): boolean {
  return (
    write('sessionStorage', 'plenary.remembers', 'yes') && write('localStorage', 'plenary.remembers', 'yes')
  );
}

/** What was switched off before is not known then. */
function isLoadedAgain(): boolean {
  const [navigation] = performance.getEntriesByType('navigation');
  return navigation !== undefined && 'type' in navigation && navigation.type !== 'navigate';
}

const MOST_PREVIOUS_PEERS = 8;
const peersKey = (roomId: string): string => `plenary.peers.${roomId}`;

/** Whom this tab was in a room, the newest last. */
export function recallPeers(roomId: string): readonly string[] {
  return (read('sessionStorage', peersKey(roomId)) ?? '').split(' ').filter(Boolean);
}

export function rememberPeer(roomId: string, peerId: string): void {
  const others = recallPeers(roomId).filter((other) => other !== peerId);
  write('sessionStorage', peersKey(roomId), [...others, peerId].slice(-MOST_PREVIOUS_PEERS).join(' '));
}

type Storages = 'localStorage' | 'sessionStorage';

function read(storage: Storages, key: string): string | undefined {
  try {
    return globalThis[storage].getItem(key) ?? undefined;
  } catch {
    // Storage is forbidden in some private windows and frames; the page works without it.
    return undefined;
  }
}

/** @returns whether it is kept */
function write(storage: Storages, key: string, value: string): boolean {
  try {
    globalThis[storage].setItem(key, value);
    return true;
  } catch {
    // As above.
    return false;
  }
}
