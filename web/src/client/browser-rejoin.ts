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
/** What is older is of no use: the cluster lets nobody back in later. */
const KEPT_MS = 7 * 86_400_000;
/** A slow disk takes seconds. A store that answers later holds nobody any longer: some browsers’ does not at all until they are started anew. */
export const ANSWER_WITHIN_MS = 10_000;

interface Kept {
  readonly token: string;
  readonly pair: CryptoKeyPair;
  readonly keptAtMs: number;
}

/**
 * Keeps one's way back to a room over a reload, for this tab alone: another tab of the same browser, or who uses it next,
 * does not come in by it. The token and the key lie in IndexedDB, which alone can hold a key that no script can read; the
 * tab is told by an id in sessionStorage, which ends with the tab. Where a browser has neither, as in some private windows
 * and frames, a reload joins as for the first time.
 * @param keptAs - the room, and the person where several may sign in one after the other in one tab
 */
export function browserRejoinTicketStore(keptAs: string, log: ClientLog): RejoinTicketStore {
  return {
    async load() {
      // A tab that never kept anything opens no database.
      const tab = tabOf(log);
      if (tab === undefined) return undefined;
      let kept: unknown;
      try {
        kept = await inStore('readonly', (objects) => objects.get(`${tab} ${keptAs}`));
      } catch (thrown) {
        log.warn('the way back to the meeting cannot be read', thrown);
        return 'unreadable';
      }
      try {
        return isKept(kept) ? { token: kept.token, key: await restoreSessionKey(kept.pair) } : undefined;
      } catch (thrown) {
        log.warn('the way back to the meeting that was kept is none', thrown);
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
        // Only now: a tab whose browser keeps nothing has nothing to be read later.
        sessionStorage.setItem(TAB_KEY, tab);
        await inStore('readwrite', forgetOld);
      } catch (thrown) {
        log.warn('the way back to the meeting cannot be kept', thrown);
      }
    },
  };
}

function tabOf(log: ClientLog): string | undefined {
  try {
    return sessionStorage.getItem(TAB_KEY) ?? undefined;
  } catch (thrown) {
    log.warn('the browser keeps nothing for this page', thrown);
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

/** Of tabs that are closed nobody else would. */
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
