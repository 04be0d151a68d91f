/**
 * Peer ids that other tabs of this browser use. A duplicated tab starts with a copy of the ids that the original remembers, but must not
 * take them for its own. Each tab announces its id by a lock, which the browser releases whenever the page ends.
 */
const PREFIX = 'plenary.peer ';

/** Wait before a refused lock is requested again, in milliseconds: Chromium grants no lock while the page's scripts are suspended. */
const ASK_AGAIN_MS = 200;
const ATTEMPTS = 5;

/** Announces to other tabs that this page is this peer, until `over`. Does nothing in a browser without locks. */
export function announceToTabs(peerId: string, over: AbortSignal, attempts = ATTEMPTS): void {
  const { locks } = navigator;
  if (!hasLocks(locks) || over.aborted) return;
  const held = (): Promise<void> =>
    new Promise((resolve) => {
      // The announcement may be over by the time the browser grants the lock.
      if (over.aborted) resolve();
      else over.addEventListener('abort', () => resolve(), { once: true });
    });
  locks.request(PREFIX + peerId, { mode: 'shared' }, held).catch((thrown: unknown) => {
    if (attempts > 1) setTimeout(() => announceToTabs(peerId, over, attempts - 1), ASK_AGAIN_MS);
    else console.warn('plenary: the peer id of this tab could not be announced to other tabs', thrown);
  });
}

/** The peer ids of all tabs of this browser, including this one; empty when the browser does not report locks. */
export async function peersOfTabs(): Promise<ReadonlySet<string>> {
  const { locks } = navigator;
  if (!hasLocks(locks)) return new Set();
  try {
    const { held = [] } = await locks.query();
    return new Set(
      held.flatMap(({ name = '' }) => (name.startsWith(PREFIX) ? [name.slice(PREFIX.length)] : [])),
    );
  } catch (thrown) {
    console.warn('plenary: the browser does not list the locks of other tabs', thrown);
    return new Set();
  }
}

/** Pages without HTTPS have no locks, and neither do some frames. */
function hasLocks(locks: LockManager | undefined): locks is LockManager {
  return locks !== undefined;
}
