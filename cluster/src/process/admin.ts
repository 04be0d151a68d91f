import { inBackground } from './guarded-callbacks.ts';
import { z } from 'zod';
import type { Drain } from '../drain/drain.ts';
import { DRAIN_STATUS } from '../drain/drain.ts';
import { plainId } from '../protocol/text.ts';
import { describeIssues } from '../rpc/route.ts';
import type { AdminDoor, AdminSubject } from './admin-proof.ts';

/** The path at which operators drain a process. */
export const ADMIN_DRAIN_PATH = '/admin/drain';
/** The longest time that an operator may give a drain, in milliseconds. */
export const MAX_DRAIN_MS = 24 * 3_600_000;
/** The longest body of a request, in UTF-16 units. */
export const MAX_ADMIN_BODY_LENGTH = 1_024;

/** The body of a `POST`. */
export const DRAIN_REQUEST = z.object({
  deadlineMs: z.int().min(0).max(MAX_DRAIN_MS),
  /** The id of the process that is meant; any other process refuses with 409. */
  id: plainId(64).optional(),
});
/** The answer to every request that is carried out. */
export const ADMIN_DRAIN_REPLY = DRAIN_STATUS.extend({
  kind: z.enum(['edge', 'media-node']),
  id: plainId(64),
});
export type AdminDrainReply = z.infer<typeof ADMIN_DRAIN_REPLY>;

/** The actions of a process beside the drain, by path: each gets the posted body, parsed as JSON. */
export type AdminActions = Readonly<Record<string, (body: unknown) => Promise<AdminAnswer>>>;

export interface AdminSettings extends AdminSubject {
  /** Admits only requests that prove the operators' token. */
  readonly door: AdminDoor;
  readonly drain: Pick<Drain<unknown>, 'begin' | 'cancel' | 'status'>;
  readonly actions?: AdminActions;
}

export interface AdminAnswer {
  readonly status: number;
  /** A value that is sent as JSON. */
  readonly body: unknown;
}

/** Answers `GET`, `POST` and `DELETE` of {@link ADMIN_DRAIN_PATH} to a proved operator (SPEC DR6, DR23, DR24). */
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
      // The operator polls the status, which also shows how the drain ends.
      inBackground(() => drain.begin(asked.data.deadlineMs));
      break;
    }
    default:
      return { status: 405, body: { error: 'method not allowed' } };
  }
  return { status: 200, body: { kind, id, ...drain.status } satisfies AdminDrainReply };
}

/** Whether a process answers operators at this path. */
export function hasAdminPath({ actions = {} }: AdminSettings, path: string): boolean {
  return path === ADMIN_DRAIN_PATH || Object.hasOwn(actions, path);
}

/** Answers a proved operator. */
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
    return undefined; // The schema reports the missing body.
  }
}
