// @ts-check
/**
 * The allowed directions of imports, and the ban of cycles: a part of `npm run check`. Each rule says what to do instead.
 * `npm run imports` prints the tree of imports.
 */

/** Tests may read Redis directly and act as the other side of a socket. */
const TESTS = '(\\.test\\.tsx?$|/testing/)';
const PACKAGES = 'cluster|edge-signaling|media-node|web|loadtest|e2e|deploy';
/** What `@plenary/cluster` exports to every package, by file. */
const PROTOCOL = '^cluster/src/(protocol/(index|ids)|errors)\\.ts$';
const MAKE_BEFORE_BREAK = '^cluster/src/make-before-break/index\\.ts$';
const CLUSTER_TESTING = '^cluster/src/testing/';
const BOTS = '^loadtest/src/(bots/index|browser|impairment/index|pages|spanning/index)\\.ts$';
const BLACK_BOX = [
  PROTOCOL,
  MAKE_BEFORE_BREAK,
  CLUSTER_TESTING,
  '^web/src/client/index\\.ts$',
  '^deploy/local/cluster/index\\.ts$',
  BOTS,
];

/** @type {import('dependency-cruiser').DependencyType[]} */
const TYPES_ONLY = ['type-only'];

/** Packages from the registry, also where they are not installed. @param {string[]} names */
function packages(...names) {
  const escaped = names.map((name) => name.replaceAll('.', '\\.')).join('|');
  return `(^|/)node_modules/(${escaped})/|^(${escaped})(/|$)`;
}

/**
 * A package from the registry that only some files may import.
 * @param {string} name
 * @param {{ path: string, pathNot?: string[] }} from
 * @param {string[]} names
 * @param {string} comment
 * @param {{ types?: boolean }} [options] `types`: importing only types is allowed
 * @returns {import('dependency-cruiser').IRegularForbiddenRuleType}
 */
function door(name, from, names, comment, options = {}) {
  const path = packages(...names);
  const to = options.types === true ? { path, dependencyTypesNot: TYPES_ONLY } : { path };
  return { name, severity: 'error', comment, from, to };
}

/**
 * Our own packages that the files of one may import.
 * @param {string} name
 * @param {{ path: string, pathNot?: string }} from
 * @param {string[]} allowed besides the package itself
 * @param {string} comment
 * @returns {import('dependency-cruiser').IRegularForbiddenRuleType}
 */
function ours(name, from, allowed, comment) {
  return {
    name,
    severity: 'error',
    comment,
    from,
    to: { path: `^(${PACKAGES})/`, pathNot: [from.path, ...allowed] },
  };
}

const EVERYWHERE = `^(${PACKAGES})/`;

/** @type {import('dependency-cruiser').IConfiguration} */
export default {
  forbidden: [
    {
      name: 'no-cycle',
      severity: 'error',
      comment:
        'Files that import each other, types included, can only be read together. Move what both need into a third file, or let the lower one declare the interface that it uses.',
      from: {},
      to: { circular: true },
    },
    {
      name: 'resolvable',
      severity: 'error',
      comment:
        'Nothing is there. Correct the path, add the package to package.json, or export the file from its package.',
      // k6 is no Node: its scripts have their own modules.
      from: { pathNot: '^loadtest/src/k6/' },
      to: { couldNotResolve: true },
    },
    {
      name: 'by-name',
      severity: 'error',
      comment: 'Import another package by its name (@plenary/…), not by its path past its exports.',
      // Of the edge and the media node, deploy's tests read the configurations.
      from: { path: `^(${PACKAGES})/`, pathNot: `^deploy.*${TESTS}` },
      to: { path: `^(${PACKAGES})/(src|local)/`, pathNot: '^$1/', dependencyTypes: ['local'] },
    },
    {
      name: 'no-testing-in-production',
      severity: 'error',
      comment:
        'What stands in a folder `testing` is for tests, and no image carries it. Move what both need out of it.',
      from: {
        path: '^(cluster|edge-signaling|media-node|web)/src/',
        pathNot: [TESTS, 'contract\\.ts$', '/simulation\\.ts$'],
      },
      to: { path: '/testing/' },
    },

    ours(
      'cluster-stands-alone',
      { path: '^cluster/' },
      [],
      'cluster is what everything else stands on; it imports nothing of ours. Move what both need into cluster.',
    ),
    ours(
      'edge-and-cluster',
      { path: '^edge-signaling/' },
      ['^cluster/'],
      'This process may import @plenary/cluster only; processes meet in its protocol, never in code.',
    ),
    ours(
      'media-node-and-cluster',
      { path: '^media-node/' },
      ['^cluster/'],
      'This process may import @plenary/cluster only; processes meet in its protocol, never in code.',
    ),
    ours(
      'deploy-and-cluster',
      { path: '^deploy/', pathNot: `^deploy.*${TESTS}` },
      ['^cluster/'],
      'deploy starts processes and does not import their code. Use their environment and their HTTP answers.',
    ),
    ours(
      'web-and-protocol',
      { path: '^web/' },
      [PROTOCOL, MAKE_BEFORE_BREAK, '^cluster/src/(deadline|token-bucket|turns|rpc/frame-parser)\\.ts$'],
      'The web app may import @plenary/cluster/protocol, /ids, /errors, /deadline, /token-bucket, /turns, /make-before-break and /frames only: everything else there is for servers.',
    ),
    ours(
      'loadtest-from-outside',
      { path: '^loadtest/' },
      BLACK_BOX,
      'loadtest sees Plenary from outside: it may import @plenary/cluster/protocol, /ids, /errors, /make-before-break and /testing/*, @plenary/web/client and @plenary/deploy/local-cluster.',
    ),
    ours(
      'e2e-from-outside',
      { path: '^e2e/', pathNot: '^e2e/simulation/' },
      BLACK_BOX,
      'e2e sees Plenary from outside: it may import @plenary/cluster/protocol, /ids, /errors, /make-before-break and /testing/*, @plenary/web/client, @plenary/deploy/local-cluster, @plenary/loadtest/bots, /browser, /impairment, /pages and /spanning.',
    ),
    ours(
      'simulation-by-doors',
      { path: '^e2e/simulation/' },
      [
        PROTOCOL,
        MAKE_BEFORE_BREAK,
        CLUSTER_TESTING,
        '^cluster/src/index\\.ts$',
        '^(edge-signaling|media-node)/src/simulation\\.ts$',
      ],
      'The simulation runs edges and media nodes in one process: of each it may import only its door, @plenary/…/simulation.',
    ),

    door(
      'redis-door',
      {
        path: '^(cluster|edge-signaling|media-node|web|deploy|e2e/simulation)/',
        pathNot: ['^cluster/src/redis/', `^(?!web/|e2e/).*${TESTS}`],
      },
      ['ioredis'],
      'Only cluster/src/redis speaks to Redis. Use a port of @plenary/cluster, or add what is missing to it.',
    ),
    door(
      'consul-door',
      { path: EVERYWHERE, pathNot: [`^cluster/src/consul/(?!.*${TESTS})`] },
      ['consul'],
      'Only cluster/src/consul speaks to Consul. Use the registry of @plenary/cluster, or add what is missing to it.',
    ),
    door(
      'mediasoup-door',
      { path: EVERYWHERE, pathNot: ['^media-node/src/engine/', `^media-node/.*${TESTS}`] },
      ['mediasoup'],
      'Only media-node/src/engine imports mediasoup. Go through the engine, and take its types from there.',
    ),
    door(
      'uws-door',
      { path: EVERYWHERE, pathNot: ['^edge-signaling/src/server/uws-carrier\\.ts$'] },
      ['uWebSockets.js'],
      'Only edge-signaling/src/server/uws-carrier.ts imports uWebSockets.js, since its Socket.IO support changes the whole process. Hand in what you need from there.',
    ),
    door(
      'edge-socket-server',
      {
        path: '^(edge-signaling|e2e/simulation)/',
        pathNot: ['^edge-signaling/src/server/edge-server\\.ts$', `^edge-signaling/.*${TESTS}`],
      },
      ['socket.io', '@socket.io/redis-adapter'],
      'Only edge-signaling/src/server/edge-server.ts opens a Socket.IO server. Hand in what you need from there; types may be imported.',
      { types: true },
    ),
    door(
      'edge-socket-client',
      { path: '^edge-signaling/', pathNot: ['^edge-signaling/src/media/', TESTS] },
      ['socket.io-client'],
      'Only edge-signaling/src/media calls media nodes. Go through its interface; types may be imported.',
      { types: true },
    ),
    door(
      'control-socket',
      { path: '^media-node/', pathNot: ['^media-node/src/control/', TESTS] },
      ['socket.io', 'socket.io-client'],
      'Only media-node/src/control speaks Socket.IO. Hand in a function or an interface; types may be imported.',
      { types: true },
    ),
    door(
      'web-without-servers',
      { path: '^web/' },
      ['socket.io', 'pino', 'prom-client'],
      'This is for servers; the web app gets what it needs through the protocol.',
    ),
    door(
      'client-without-react',
      { path: '^web/src/client/' },
      ['react', 'react-dom'],
      'web/src/client is the headless client and knows no React. Put this into web/src/hooks or web/src/components.',
    ),
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '(^|/)(dist|coverage)/' },
    // Types are imports too: they decide what has to be read together.
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.base.json' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'require', 'node', 'default', 'types'],
      extensions: ['.ts', '.tsx', '.js', '.mjs', '.json'],
    },
  },
};
