import { createHash } from 'node:crypto';
import { PlenaryError } from '../errors.ts';
import { answerWithin, COMMAND_TIMEOUT_MS } from './answer-within.ts';
import type { StoreClient } from './client.ts';
import { CommandGate } from './command-gate.ts';
import { SCRIPTS } from './scripts.generated.ts';
import type { RunScript, ScriptName } from './scripts.generated.ts';
import { isOutage, isReplyError } from './store-trouble.ts';

const digests = new Map<ScriptName, string>();

function digestOf(name: ScriptName): string {
  let digest = digests.get(name);
  if (digest === undefined) {
    digest = createHash('sha1').update(SCRIPTS[name].lua).digest('hex');
    digests.set(name, digest);
  }
  return digest;
}

/** Maps an outage to `store_unavailable`; our own mistakes and keys of a wrong type become `internal`. */
export function storeError(cause: unknown): PlenaryError {
  if (cause instanceof PlenaryError) return cause;
  return new PlenaryError(isOutage(cause) ? 'store_unavailable' : 'internal', undefined, { cause });
}

/**
 * Runs a store command; an outage becomes `store_unavailable`, our own mistakes become `internal`.
 * @param key - a key that the command uses
 */
export async function guarded<Result>(
  gate: CommandGate,
  key: string | undefined,
  command: () => Promise<Result>,
): Promise<Result> {
  try {
    return await answerWithin(COMMAND_TIMEOUT_MS, gate.pass(command, key));
  } catch (cause) {
    throw storeError(cause);
  }
}

/**
 * Runs scripts by digest, and sends the text if the server does not know it yet.
 * @param onOutage - called for each script that failed as in an outage
 */
export function scriptRunner(
  redis: StoreClient,
  onOutage: () => void = () => undefined,
  gate = new CommandGate(),
): RunScript {
  return async (name, keys, args) => {
    try {
      return await guarded(gate, keys[0], async () => runOnServer(redis, name, keys, args));
    } catch (error) {
      if (error instanceof PlenaryError && error.code === 'store_unavailable') onOutage();
      throw error;
    }
  };
}

/** Runs a script without mapping its errors. @throws what Redis or its connection throws */
export async function runOnServer(
  redis: StoreClient,
  ...[name, keys, args]: Parameters<RunScript>
): Promise<unknown> {
  try {
    return await redis.evalsha(digestOf(name), keys.length, ...keys, ...args);
  } catch (error) {
    if (!isReplyError(error) || !error.message.startsWith('NOSCRIPT')) throw error;
    return redis.eval(SCRIPTS[name].lua, keys.length, ...keys, ...args);
  }
}
