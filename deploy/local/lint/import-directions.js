// @ts-check
/**
 * Who may import whom, as lint rules. ESLint takes only the last setting of a rule for a
 * file, so each entry here holds everything that is refused in its files, and a more particular entry repeats it.
 */

const RULE = '@typescript-eslint/no-restricted-imports';
const FOLDERS = ['cluster', 'edge-signaling', 'media-node', 'web', 'loadtest', 'e2e', 'deploy'];

/**
 * Refuses imports of our own packages other than the allowed ones, by name and by path.
 * @param {string} folder the importing package
 * @param {string[]} allowed regular expressions on what follows `@plenary/`
 * @param {string} message
 */
function ours(folder, allowed, message) {
  const others = FOLDERS.filter((name) => name !== folder).join('|');
  const names = allowed.length === 0 ? '' : `(?!(${allowed.join('|')})$)`;
  return [
    { regex: `^@plenary/${names}`, message },
    {
      // ../../media-node/src/… reaches into another package past its exports.
      regex: `^(\\.\\./)+(${others})/(src|local)/`,
      message: `Import another package by its name (@plenary/…), not by its path. ${message}`,
    },
  ];
}

/**
 * Refuses packages from the registry.
 * @param {string[]} names
 * @param {string} message
 * @param {{ types?: boolean }} [options] `types`: importing only types is allowed
 */
function packages(names, message, options = {}) {
  const escaped = names.map((name) => name.replace(/[.]/g, '\\.')).join('|');
  return { regex: `^(${escaped})(/|$)`, message, allowTypeImports: options.types === true };
}

/**
 * @typedef {{ regex: string, message: string, allowTypeImports?: boolean }} Refusal
 * @param {string} name
 * @param {string[]} files
 * @param {Refusal[]} patterns
 * @param {string[]} [ignores]
 */
function zone(name, files, patterns, ignores = []) {
  return {
    name: `imports/${name}`,
    files,
    ignores,
    rules: { [RULE]: /** @type {['error', object]} */ (['error', { patterns }]) },
  };
}

const noRedis = packages(
  ['ioredis'],
  'Only cluster/src/redis speaks to Redis. Use a port of @plenary/cluster, or add what is missing to it.',
);
const noConsul = packages(
  ['consul'],
  'Only cluster/src/consul speaks to Consul. Use the registry of @plenary/cluster, or add what is missing to it.',
);
const noMediasoup = packages(
  ['mediasoup'],
  'Only media-node/src/engine imports mediasoup. Go through the engine, and take its types from there.',
);
const noSocketServer = packages(
  ['socket.io', '@socket.io/redis-adapter'],
  'Only edge-signaling/src/server/edge-server.ts opens a Socket.IO server. Hand in what you need from there; types may be imported.',
  { types: true },
);
const noUws = packages(
  ['uWebSockets.js'],
  'Only edge-signaling/src/server/uws-carrier.ts imports uWebSockets.js, since its Socket.IO support changes the whole process. Hand in what you need from there.',
);
const noControlSocket = packages(
  ['socket.io', 'socket.io-client'],
  'Only media-node/src/control speaks Socket.IO. Hand in a function or an interface; types may be imported.',
  { types: true },
);
const noEdgeClient = packages(
  ['socket.io-client'],
  'Only edge-signaling/src/media calls media nodes. Go through its interface; types may be imported.',
  { types: true },
);
const noReact = packages(
  ['react', 'react-dom'],
  'web/src/client is the headless client and knows no React. Put this into web/src/hooks or web/src/components.',
);
const onlyCluster =
  'This process may import @plenary/cluster only; processes meet in its protocol, never in code.';
const edgeOurs = ours('edge-signaling', ['cluster(/.*)?'], onlyCluster);
const mediaOurs = ours('media-node', ['cluster(/.*)?'], onlyCluster);
const webOurs = ours(
  'web',
  ['cluster/(protocol|ids|errors|frames|make-before-break)'],
  'The web app may import @plenary/cluster/protocol, /ids, /errors, /frames and /make-before-break only: everything else there is for servers.',
);
const webNoServers = packages(
  [
    'mediasoup',
    'socket.io',
    'uWebSockets.js',
    'ioredis',
    'consul',
    'pino',
    'prom-client',
    '@plenary/cluster/testing',
  ],
  'This is for servers; the web app gets what it needs through the protocol.',
);
const blackBox = (/** @type {string} */ folder) =>
  ours(
    folder,
    [
      'cluster/(protocol|ids|errors|make-before-break|testing/.*)',
      'web/client',
      'deploy/local-cluster',
      'loadtest/(bots|browser|impairment|pages|spanning)',
    ],
    'This package sees Plenary from outside: it may import @plenary/cluster/protocol, /ids, /errors, /make-before-break and /testing/*, @plenary/web/client, @plenary/deploy/local-cluster, @plenary/loadtest/bots, /browser, /impairment, /pages and /spanning.',
  );
const simulationOurs = ours(
  'e2e',
  [
    'cluster',
    'cluster/(protocol|ids|errors|make-before-break|testing/.*)',
    'edge-signaling/simulation',
    'media-node/simulation',
  ],
  'The simulation runs edges and media nodes in one process: of each it may import only its door, @plenary/…/simulation.',
);
const clusterOurs = ours(
  'cluster',
  [],
  'cluster is what everything else stands on; it imports nothing of ours. Inside it, use relative paths.',
);
const deployOurs = ours(
  'deploy',
  ['cluster(/.*)?'],
  'deploy starts processes and does not import their code. Use their environment and their HTTP answers.',
);

const ts = (/** @type {string} */ folder) => [`${folder}/**/*.ts`, `${folder}/**/*.tsx`];
/** Tests may look at Redis themselves and play the other side of a socket. */
const tests = (/** @type {string} */ folder) => [`${folder}/**/*.test.ts`, `${folder}/**/testing/**/*.ts`];

export const importRules = [
  zone(
    'cluster',
    ts('cluster'),
    [...clusterOurs, noRedis, noConsul, noMediasoup, noUws],
    ['cluster/src/redis/**', 'cluster/src/consul/**', ...tests('cluster')],
  ),
  zone(
    'cluster-redis',
    ['cluster/src/redis/**/*.ts', ...tests('cluster')],
    [...clusterOurs, noConsul, noMediasoup, noUws],
  ),

  zone(
    'cluster-consul',
    ['cluster/src/consul/**/*.ts'],
    [...clusterOurs, noRedis, noMediasoup, noUws],
    tests('cluster'),
  ),

  zone('edge', ts('edge-signaling'), [
    ...edgeOurs,
    noRedis,
    noConsul,
    noMediasoup,
    noSocketServer,
    noUws,
    noEdgeClient,
  ]),
  zone(
    'edge-server',
    ['edge-signaling/src/server/edge-server.ts'],
    [...edgeOurs, noRedis, noConsul, noMediasoup, noUws, noEdgeClient],
  ),
  zone(
    'edge-uws',
    ['edge-signaling/src/server/uws-carrier.ts'],
    [...edgeOurs, noRedis, noConsul, noMediasoup, noSocketServer, noEdgeClient],
  ),
  zone(
    'edge-media',
    ['edge-signaling/src/media/**/*.ts'],
    [...edgeOurs, noRedis, noConsul, noMediasoup, noSocketServer, noUws],
  ),
  zone('edge-tests', tests('edge-signaling'), [...edgeOurs, noConsul, noMediasoup, noUws]),

  zone('media', ts('media-node'), [...mediaOurs, noRedis, noConsul, noMediasoup, noControlSocket, noUws]),
  zone(
    'media-control',
    ['media-node/src/control/**/*.ts'],
    [...mediaOurs, noRedis, noConsul, noMediasoup, noUws],
  ),
  zone(
    'media-engine',
    ['media-node/src/engine/**/*.ts'],
    [...mediaOurs, noRedis, noConsul, noControlSocket, noUws],
  ),
  zone('media-tests', tests('media-node'), [...mediaOurs, noConsul, noUws]),

  zone('web', ts('web'), [...webOurs, webNoServers]),
  zone('web-client', ['web/src/client/**/*.ts'], [...webOurs, webNoServers, noReact]),

  zone('loadtest', ts('loadtest'), [...blackBox('loadtest'), noConsul, noMediasoup, noUws]),
  zone('e2e', ts('e2e'), [...blackBox('e2e'), noConsul, noMediasoup, noUws]),
  zone(
    'simulation',
    ['e2e/simulation/**/*.ts'],
    [...simulationOurs, noRedis, noConsul, noMediasoup, noSocketServer, noUws],
  ),

  zone('deploy', ts('deploy'), [...deployOurs, noConsul, noMediasoup, noUws, noRedis], tests('deploy')),
];
