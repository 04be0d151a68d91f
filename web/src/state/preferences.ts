/**
 * Choices that this browser remembers. Without storage nothing is remembered, and a reloaded page begins with its devices off.
 *
 * A microphone or camera that was switched off stays off in all tabs and meetings, also after a crash: nobody may be heard or seen again
 * without their own action. The tab remembers it as well, so that a device that is switched on in one tab is not on after a reload of
 * another. The peer ids in a room belong to the tab.
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

/** Whether the person switched the device off in this or another tab, and not on again since. */
export function wasSwitchedOff(kind: 'microphone' | 'camera'): boolean {
  if (!canRemember()) return isReloaded();
  const key = KEYS[`${kind}Off`];
  return read('sessionStorage', key) === 'yes' || read('localStorage', key) === 'yes';
}

export function rememberSwitch(kind: 'microphone' | 'camera', enabled: boolean): void {
  const key = KEYS[`${kind}Off`];
  for (const storage of ['sessionStorage', 'localStorage'] as const)
    write(storage, key, enabled ? 'no' : 'yes');
}

/** Whether storage can be written. A full storage, or one that is closed to a frame, cannot. */
function canRemember(): boolean {
  return (
    write('sessionStorage', 'plenary.remembers', 'yes') && write('localStorage', 'plenary.remembers', 'yes')
  );
}

/** Whether the page was reloaded, so that devices may have been switched off before. */
function isReloaded(): boolean {
  const [navigation] = performance.getEntriesByType('navigation');
  return navigation !== undefined && 'type' in navigation && navigation.type !== 'navigate';
}

const MOST_PREVIOUS_PEERS = 8;
const peersKey = (roomId: string): string => `plenary.peers.${roomId}`;

/** The peer ids that this tab had in a room, the newest last. */
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
    // Some private windows and frames forbid storage; the page works without it.
    return undefined;
  }
}

/** @returns whether the value was stored */
function write(storage: Storages, key: string, value: string): boolean {
  try {
    globalThis[storage].setItem(key, value);
    return true;
  } catch {
    // The page works without storage.
    return false;
  }
}
