import { inBackground } from './guarded-callbacks.ts';
import { z } from 'zod';
import type { Drain } from '../drain/drain.ts';
import { DRAIN_STATUS } from '../drain/drain.ts';
import { plainId } from '../protocol/text.ts';
import { describeIssues } from '../rpc/route.ts';
import type { AdminDoor, AdminSubject } from './admin-proof.ts';

/** Where operators drain a process. */
export const ADMIN_DRAIN_PATH = '/admin/drain';
/** The longest time that a drain may be given, in milliseconds. */
export const MAX_DRAIN_MS = 24 * 3_600_000;
/** Longest body of a request, in UTF-16 units. */
export const MAX_ADMIN_BODY_LENGTH = 1_024;

/** What `POST` asks for. */
export const DRAIN_REQUEST = z.object({
  deadlineMs: z.int().min(0).max(MAX_DRAIN_MS),
  /** Who is meant; another process than this refuses with 409. */
  id: plainId(64).optional(),
});
/** What is answered to every request that is carried out. */
export const ADMIN_DRAIN_REPLY = DRAIN_STATUS.extend({
  kind: z.enum(['edge', 'media-node']),
  id: plainId(64),
});
export type AdminDrainReply = z.infer<typeof ADMIN_DRAIN_REPLY>;

/** What a process answers beside the drain, by path: each gets what was posted, parsed as JSON. */
export type AdminActions = Readonly<Record<string, (body: unknown) => Promise<AdminAnswer>>>;

export interface AdminSettings extends AdminSubject {
  /** Lets in who knows the operators' token, and nobody else. */
  readonly door: AdminDoor;
  readonly drain: Pick<Drain<unknown>, 'begin' | 'cancel' | 'status'>;
  readonly actions?: AdminActions;
}

export interface AdminAnswer {
  readonly status: number;
  /** To be sent as JSON. */
  readonly body: unknown;
}

/** Answers `GET`, `POST` and `DELETE` of {@link ADMIN_DRAIN_PATH} to who proved to be an operator (SPEC DR6, DR23, DR24). */
export function answerDrainRequest(
  { kind, id, drain }: AdminSettings,
  request: { readonly method: string; readonly body: string },
): AdminAnswer {
  switch (request.method) {
    case 'GET':
    case 'HEAD':
      break;
    case 'DELETE':
      drain.cancel();
      break;
    case 'POST': {
      const asked = DRAIN_REQUEST.safeParse(parse(request.body));
      if (!asked.success) return { status: 400, body: { error: describeIssues(asked.error) } };
      if (asked.data.id !== undefined && asked.data.id !== id) {
        return { status: 409, body: { error: `this is ${id}, not ${asked.data.id}` } };
      }
      // Who asked looks again and again; how it ends is in the status.
      inBackground(() => drain.begin(asked.data.deadlineMs));
      break;
    }
    default:
      return { status: 405, body: { error: 'method not allowed' } };
  }
  return { status: 200, body: { kind, id, ...drain.status } satisfies AdminDrainReply };
}

/** Whether a process answers its operators at this path. */
export function hasAdminPath({ actions = {} }: AdminSettings, path: string): boolean {
  return path === ADMIN_DRAIN_PATH || Object.hasOwn(actions, path);
}

/** Answers who proved to be an operator. */
export async function answerAdminRequest(
  settings: AdminSettings,
  request: { readonly method: string; readonly path: string; readonly body: string },
): Promise<AdminAnswer> {
  const { actions = {} } = settings;
  const action = Object.hasOwn(actions, request.path) ? actions[request.path] : undefined;
  if (action === undefined) return answerDrainRequest(settings, request);
  if (request.method !== 'POST') return { status: 405, body: { error: 'method not allowed' } };
  return action(parse(request.body));
}

function parse(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    return undefined; // The schema says what it misses.
  }
}
