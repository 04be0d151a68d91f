import { PlenaryError } from '@plenary/cluster';
import type { Route } from '@plenary/cluster';
import { SERVED_PROTOCOL_VERSIONS } from '@plenary/cluster/protocol';

/** @throws PlenaryError `protocol_version` */
export function checkVersion(protocolVersion: number): void {
  if (!SERVED_PROTOCOL_VERSIONS.includes(protocolVersion)) {
    throw new PlenaryError('protocol_version', `This edge serves ${SERVED_PROTOCOL_VERSIONS.join(' and ')}.`);
  }
}

/**
 * Looks at the version before the schema does: a request of another version may have any shape, and its client has to be
 * told `protocol_version`, by which it tries another edge (SPEC PR11).
 */
export function versioned<Context>(route: Route<Context>): Route<Context> {
  return async (payload, context) => {
    try {
      const version = versionOf(payload);
      if (version !== undefined) checkVersion(version);
    } catch (fault) {
      if (fault instanceof PlenaryError) return { ok: false, error: fault.toWire() };
      throw fault;
    }
    return route(payload, context);
  };
}

/** What is no number of a version is left to the schema. */
function versionOf(payload: unknown): number | undefined {
  if (typeof payload !== 'object' || payload === null || !('protocolVersion' in payload)) return undefined;
  const { protocolVersion } = payload;
  return typeof protocolVersion === 'number' && Number.isSafeInteger(protocolVersion)
    ? protocolVersion
    : undefined;
}
