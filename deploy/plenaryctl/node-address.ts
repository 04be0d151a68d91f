import {
  connectClusterStore,
  consulAddressSetting,
  consulSettings,
  consulTokenSetting,
  parseConfig,
  secretSetting,
  secretsIn,
  secretsSetting,
  silentLogger,
  STORE_SETTINGS,
  storeAddressOf,
  storeFaults,
} from '@plenary/cluster';
import type { ClusterStore, Environment, Secrets } from '@plenary/cluster';
import { z } from 'zod';

/** How long the store is given to answer. */
const STORE_WITHIN_MS = 5_000;
const STORE_POLL_MS = 50;

/** Where a process is asked, and who it must be. */
export interface NodeAddress {
  readonly url: string;
  /** Absent where the person gave the URL. */
  readonly id: string | undefined;
}

/** The node cannot be found; the message says why. */
export class NotFound extends Error {
  override readonly name = 'NotFound';
}

const TOKEN_SETTINGS = z.object({ PLENARY_ADMIN_TOKEN: secretSetting });
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
export function readAdminToken(environment: Environment): string {
  return parseConfig(TOKEN_SETTINGS, only(TOKEN_SETTINGS, environment)).PLENARY_ADMIN_TOKEN;
}

/** Those of the cluster's namespace. @throws ConfigError when there is none */
export function readClusterSecrets(environment: Environment): Secrets {
  const settings = parseConfig(CLUSTER_SETTINGS, only(CLUSTER_SETTINGS, environment));
  return secretsIn(settings.PLENARY_NAMESPACE, settings.PLENARY_CLUSTER_SECRET);
}

/** @throws ConfigError when an id is to be looked up and no store is named; {@link NotFound} */
export async function findNode(node: string, environment: Environment): Promise<NodeAddress> {
  if (/^https?:\/\//.test(node)) {
    if (!URL.canParse(node)) throw new NotFound(`${node} is not a URL.`);
    return { url: new URL(node).origin, id: undefined };
  }
  const known = only(LOOKUP_SETTINGS, environment);
  const settings = parseConfig(LOOKUP_SETTINGS, known, [], storeFaults(known));
  const store = connectClusterStore({
    address: storeAddressOf(settings),
    namespace: settings.PLENARY_NAMESPACE,
    consul: consulSettings(settings.CONSUL_HTTP_ADDR, settings.CONSUL_HTTP_TOKEN),
    connectionName: 'plenaryctl',
    logger: silentLogger(),
  });
  try {
    await untilAvailable(store);
    const [mediaNodes, edges] = await Promise.all([
      store.registry.liveMediaNodes(),
      store.registry.liveEdges(),
    ]);
    const addresses = new Map<string, string>([
      ...edges.map(({ edgeId, publicUrl }) => [edgeId, publicUrl] as const),
      ...mediaNodes.map(({ mediaNodeId, controlUrl }) => [mediaNodeId, controlUrl] as const),
    ]);
    const url = addresses.get(node);
    if (url === undefined) {
      const ids = [...addresses.keys()].sort().join(', ');
      throw new NotFound(`There is no ${node}. These live: ${ids === '' ? 'none' : ids}.`);
    }
    return { url, id: node };
  } finally {
    await store.close();
  }
}

async function untilAvailable(store: ClusterStore): Promise<void> {
  const deadlineMs = performance.now() + STORE_WITHIN_MS;
  while (!store.isAvailable()) {
    if (performance.now() > deadlineMs) throw new NotFound('The store does not answer.');
    await new Promise((resolve) => setTimeout(resolve, STORE_POLL_MS));
  }
}
