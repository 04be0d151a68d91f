import { withDeadline } from '@plenary/cluster/deadline';
import { TOKEN_TEXT } from '@plenary/cluster/protocol';
import type { ClientLog } from './counters.ts';
import type { RejoinTicketStore } from './rejoin.ts';
import { newRequestId } from './request-edge.ts';
import { restoreSessionKey } from './session-key.ts';
import { pageTimers } from './page-timers.ts';

const DATABASE = 'plenary';
const OBJECTS = 'rejoin';
const TAB_KEY = 'plenary.tab';
/** Maximum age of a stored ticket, in milliseconds: the cluster accepts no older one. */
const KEPT_MS = 7 * 86_400_000;
/** Time limit for IndexedDB, in milliseconds. A slow disk takes seconds; some browsers do not answer at all until they are restarted. */
export const ANSWER_WITHIN_MS = 10_000;

interface Kept {
  readonly token: string;
  readonly pair: CryptoKeyPair;
  readonly keptAtMs: number;
}

/**
 * Stores the rejoin ticket of a room over a reload, for this tab alone: another tab of the browser, or its next user, cannot use it.
 * Token and key are in IndexedDB, the only storage for a key that no script can read. An id in sessionStorage, which ends with the tab,
 * identifies the tab. A browser without these, such as some private windows and frames, joins after a reload as for the first time.
 * @param keptAs - the room, and the person if several people may sign in one after the other in one tab
 */
export function browserRejoinTicketStore(keptAs: string, log: ClientLog): RejoinTicketStore {
  return {
    async load() {
      // A tab that never stored a ticket opens no database.
      const tab = tabOf(log);
      if (tab === undefined) return undefined;
      let kept: unknown;
      try {
        kept = await inStore('readonly', (objects) => objects.get(`${tab} ${keptAs}`));
      } catch (thrown) {
        log.warn('the rejoin ticket cannot be read', thrown);
        return 'unreadable';
      }
      try {
        return isKept(kept) ? { token: kept.token, key: await restoreSessionKey(kept.pair) } : undefined;
      } catch (thrown) {
        log.warn('the stored rejoin ticket is invalid', thrown);
        return undefined;
      }
    },
    async save(ticket) {
      try {
        const known = sessionStorage.getItem(TAB_KEY);
        if (known === null && ticket === undefined) return;
        const tab = known ?? newRequestId();
        const name = `${tab} ${keptAs}`;
        const pair = ticket?.key.pair;
        if (ticket === undefined || pair === undefined) {
          await inStore('readwrite', (objects) => objects.delete(name));
          return;
        }
        const kept: Kept = { token: ticket.token, pair, keptAtMs: Date.now() };
        await inStore('readwrite', (objects) => objects.put(kept, name));
        // Set only after the ticket was stored, so that the id shows that there is one to read.
        sessionStorage.setItem(TAB_KEY, tab);
        await inStore('readwrite', forgetOld);
      } catch (thrown) {
        log.warn('the rejoin ticket cannot be stored', thrown);
      }
    },
  };
}

function tabOf(log: ClientLog): string | undefined {
  try {
    return sessionStorage.getItem(TAB_KEY) ?? undefined;
  } catch (thrown) {
    log.warn('the browser does not allow this page to use sessionStorage', thrown);
    return undefined;
  }
}

function isKept(value: unknown): value is Kept {
  return (
    typeof value === 'object' &&
    value !== null &&
    'token' in value &&
    TOKEN_TEXT.safeParse(value.token).success &&
    'pair' in value
  );
}

/** Deletes old tickets. Closed tabs cannot delete theirs. */
function forgetOld(objects: IDBObjectStore): IDBRequest<IDBCursorWithValue | null> {
  const request = objects.openCursor();
  request.addEventListener('success', () => {
    const cursor = request.result;
    if (cursor === null) return;
    const value: unknown = cursor.value;
    const keptAtMs = typeof value === 'object' && value !== null && 'keptAtMs' in value ? value.keptAtMs : 0;
    if (typeof keptAtMs !== 'number' || keptAtMs < Date.now() - KEPT_MS) cursor.delete();
    cursor.continue();
  });
  return request;
}

async function inStore<Result>(
  mode: IDBTransactionMode,
  work: (objects: IDBObjectStore) => IDBRequest<Result>,
): Promise<Result> {
  return withDeadline(pageTimers, ANSWER_WITHIN_MS, carryOut(mode, work), () => {
    throw new Error('IndexedDB does not answer');
  });
}

async function carryOut<Result>(
  mode: IDBTransactionMode,
  work: (objects: IDBObjectStore) => IDBRequest<Result>,
): Promise<Result> {
  const database = await open();
  try {
    const transaction = database.transaction(OBJECTS, mode);
    const request = work(transaction.objectStore(OBJECTS));
    await new Promise<void>((resolve, reject) => {
      transaction.addEventListener('complete', () => resolve());
      transaction.addEventListener('abort', () => reject(transaction.error ?? new Error('IndexedDB')));
    });
    return request.result;
  } finally {
    database.close();
  }
}

function open(): Promise<IDBDatabase> {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open(DATABASE, 1);
    request.addEventListener('upgradeneeded', () => request.result.createObjectStore(OBJECTS));
    request.addEventListener('success', () => resolve(request.result));
    request.addEventListener('error', () => reject(request.error ?? new Error('IndexedDB')));
    request.addEventListener('blocked', () => reject(new Error('IndexedDB is blocked')));
  });
}
