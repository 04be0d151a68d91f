/**
 * Whom other tabs of this browser are in their meetings. A tab that is duplicated begins with a copy of what the first one
 * remembers, and is somebody else all the same. Told by locks, which end with the page that holds them, however it ends.
 */
const PREFIX = 'plenary.peer ';

/** Chromium gives no lock while scripts of the page stand still, as for the moment in which it opens a window. */
const ASK_AGAIN_MS = 200;
const ATTEMPTS = 5;

/** Tells other tabs that this page is that peer, until `over`. Where the browser has no locks, nobody is told. */
export function tellOtherTabs(peerId: string, over: AbortSignal, attempts = ATTEMPTS): void {
  const { locks } = navigator;
  if (!hasLocks(locks) || over.aborted) return;
  const held = (): Promise<void> =>
    new Promise((resolve) => {
      // By the time that the browser gives the lock it may be over.
      if (over.aborted) resolve();
      else over.addEventListener('abort', () => resolve(), { once: true });
    });
  locks.request(PREFIX + peerId, { mode: 'shared' }, held).catch((thrown: unknown) => {
    if (attempts > 1) setTimeout(() => tellOtherTabs(peerId, over, attempts - 1), ASK_AGAIN_MS);
    else console.warn('plenary: other tabs cannot be told who this one is', thrown);
  });
}

/** Whom the tabs of this browser are, this one as well; nobody, where the browser does not tell. */
export async function peersOfTabs(): Promise<ReadonlySet<string>> {
  const { locks } = navigator;
  if (!hasLocks(locks)) return new Set();
  try {
    const { held = [] } = await locks.query();
    return new Set(
      held.flatMap(({ name = '' }) => (name.startsWith(PREFIX) ? [name.slice(PREFIX.length)] : [])),
    );
  } catch (thrown) {
    console.warn('plenary: the browser does not tell of other tabs', thrown);
    return new Set();
  }
}

/** Pages that did not come over https have none, and frames of some sites. */
function hasLocks(locks: LockManager | undefined): locks is LockManager {
  return locks !== undefined;
}
