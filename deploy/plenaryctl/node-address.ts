import {
  connectClusterStore,
  consulAddressSetting,
  consulSettings,
  consulTokenSetting,
  parseConfig,
  secretsIn,
  secretsSetting,
  silentLogger,
  STORE_SETTINGS,
  storeAddressOf,
  storeFaults,
} from '@plenary/cluster';
import type { AdminSubject, AdminTarget, ClusterStore, Environment, Secrets } from '@plenary/cluster';
import { z } from 'zod';

/** How long the store is given to answer. */
const STORE_WITHIN_MS = 5_000;
const STORE_POLL_MS = 50;

/** A process's URL, and the id that it must prove; a URL that a person gave may belong to any process. */
export type NodeAddress = AdminTarget;

/** The node cannot be found; the message says why. */
export class NotFound extends Error {
  override readonly name = 'NotFound';
}

const TOKEN_SETTINGS = z.object({ PLENARY_ADMIN_TOKEN: secretsSetting });
const CLUSTER_SETTINGS = z.object({
  PLENARY_CLUSTER_SECRET: secretsSetting,
  PLENARY_NAMESPACE: STORE_SETTINGS.PLENARY_NAMESPACE,
});
const LOOKUP_SETTINGS = z.object({
  ...STORE_SETTINGS,
  CONSUL_HTTP_ADDR: consulAddressSetting.optional(),
  CONSUL_HTTP_TOKEN: consulTokenSetting.optional(),
});

/** Those variables of an environment that a schema knows: in a node's own container there are many more. */
function only(schema: z.ZodObject, environment: Environment): Environment {
  const names = Object.keys(schema.shape).flatMap((name) => [name, `${name}_FILE`]);
  return Object.fromEntries(names.map((name) => [name, environment[name]]));
}

/** @throws ConfigError when there is none */
export function readAdminTokens(environment: Environment): Secrets {
  return parseConfig(TOKEN_SETTINGS, only(TOKEN_SETTINGS, environment)).PLENARY_ADMIN_TOKEN;
}

/** Those of the cluster's namespace. @throws ConfigError when there is none */
export function readClusterSecrets(environment: Environment): Secrets {
  const settings = parseConfig(CLUSTER_SETTINGS, only(CLUSTER_SETTINGS, environment));
  return secretsIn(settings.PLENARY_NAMESPACE, settings.PLENARY_CLUSTER_SECRET);
}

interface KnownProcess {
  readonly kind: AdminSubject['kind'];
  readonly id: string;
  readonly url: string | undefined;
}

/** Of whatever process is at a URL that a person gave: it proves only that it is of this cluster. */
export function addressAt(url: string): NodeAddress {
  return { url: new URL(url).origin };
}

/** @throws ConfigError when an id is to be looked up and no store is named; {@link NotFound} */
export async function findNode(node: string, environment: Environment): Promise<NodeAddress> {
  if (/^https?:\/\//.test(node)) {
    if (!URL.canParse(node)) throw new NotFound(`${node} is not a URL.`);
    return addressAt(node);
  }
  const known = await liveProcesses(environment);
  const found = known.find(({ id }) => id === node);
  if (found === undefined) {
    const ids = known
      .map(({ id }) => id)
      .sort()
      .join(', ');
    throw new NotFound(`There is no ${node}. These live: ${ids === '' ? 'none' : ids}.`);
  }
  return addressOf(found);
}

/** All live edges. @throws ConfigError, {@link NotFound} if there is none, or if one announces no operators' URL */
export async function findEdges(environment: Environment): Promise<readonly NodeAddress[]> {
  const edges = (await liveProcesses(environment)).filter(({ kind }) => kind === 'edge');
  if (edges.length === 0) throw new NotFound('No edge lives.');
  return edges.sort((left, right) => (left.id < right.id ? -1 : 1)).map(addressOf);
}

function addressOf({ kind, id, url }: KnownProcess): NodeAddress {
  if (url === undefined) {
    throw new NotFound(
      `${id} does not say where its operators' port is (PLENARY_OPERATOR_URL): give that URL.`,
    );
  }
  return { url, subject: { kind, id } };
}

/** The registry's records, none of which is trusted without a proof (SPEC OP8). */
async function liveProcesses(environment: Environment): Promise<KnownProcess[]> {
  const named = only(LOOKUP_SETTINGS, environment);
  const settings = parseConfig(LOOKUP_SETTINGS, named, [], storeFaults);
  const store = connectClusterStore({
    address: storeAddressOf(settings),
    namespace: settings.PLENARY_NAMESPACE,
    consul: consulSettings(settings.CONSUL_HTTP_ADDR, settings.CONSUL_HTTP_TOKEN),
    connectionName: 'plenaryctl',
    readsOnly: true,
    logger: silentLogger(),
  });
  try {
    await untilAvailable(store);
    const [mediaNodes, edges] = await Promise.all([
      store.registry.liveMediaNodes(),
      store.registry.liveEdges(),
    ]);
    return [
      ...edges.map(({ edgeId: id, operatorUrl: url }) => ({ kind: 'edge' as const, id, url })),
      ...mediaNodes.map(({ mediaNodeId: id, operatorUrl: url }) => ({
        kind: 'media-node' as const,
        id,
        url,
      })),
    ];
  } finally {
    await store.close();
  }
}

async function untilAvailable(store: ClusterStore): Promise<void> {
  const deadlineMs = performance.now() + STORE_WITHIN_MS;
  while (!store.isAvailable()) {
    if (performance.now() > deadlineMs)
      throw new NotFound(
        'The store does not answer. Where it is not needed, give URLs of operators’ ports in place of ids (revoke: --edge).',
      );
    await new Promise((resolve) => setTimeout(resolve, STORE_POLL_MS));
  }
}
