// @ts-check
/**
 * Every entry of a process is total (SPEC EN4): a listener, a timer's action and a promise that nobody awaits go through
 * `cluster/src/process/guarded-callbacks.ts`, so that what they throw costs one message and not the process. A rule, because one
 * `void work()` that is added later would undo it.
 */

/** @import { Linter, Rule, Scope } from 'eslint' */
/** @import { CallExpression, Node } from 'estree' */

const LISTENERS = new Set(['addEventListener', 'addListener', 'on', 'onAny', 'once', 'prependListener']);
/** Of other makers of events; an object of that name may as well be told something. */
const OBSERVERS = new Set(['onAborted', 'onAvailability', 'onChange', 'onData', 'onMalformed']);
/** Functions that call back once, which other things are called as well: only a function that is written out there counts. */
const CALLBACKS = new Set([
  'bind',
  'close',
  'emit',
  'exec',
  'execFile',
  'finished',
  'listen',
  'lookup',
  'pipeline',
  'readFile',
  'use',
]);
const SERVERS = /^create\w*Server$/;
/** Options that a library calls, and most of which have to answer. */
const OPTIONS = new Set([
  'allowRequest',
  'checkServerIdentity',
  'clusterRetryStrategy',
  'handleProtocols',
  'reconnectOnError',
  'retryStrategy',
  'sentinelReconnectStrategy',
  'sentinelRetryStrategy',
  'shouldUpgradeCallback',
  'SNICallback',
  'verifyClient',
]);
/** What uWebSockets.js calls of a behaviour, which is known by what only such an object has. */
const BEHAVIOUR = new Set([
  'close',
  'drain',
  'dropped',
  'message',
  'open',
  'ping',
  'pong',
  'subscription',
  'upgrade',
]);
const OF_BEHAVIOURS = new Set([
  'closeOnBackpressureLimit',
  'maxBackpressure',
  'maxPayloadLength',
  'sendPingsAutomatically',
]);
const STREAMS = /^(?:Duplex|PassThrough|Readable|Transform|Writable)$/;
/** Functions that take what is called later, with what to use instead. */
const TIMERS = new Map([
  ['setInterval', 'every(ms, action)'],
  ['setTimeout', 'after(ms, action)'],
  ['setImmediate', 'afterTurn(action)'],
  ['queueMicrotask', 'inBackground(action)'],
  ['nextTick', 'inBackground(action)'],
]);

const FROM = 'of @plenary/cluster (process/guarded-callbacks.ts)';
export const MESSAGES = {
  let_go: `A promise that nobody awaits ends the process when it rejects. Use inBackground(() => …) ${FROM}.`,
  timer: `What a timer calls may throw, and would end the process. Use {{instead}} ${FROM}.`,
  caught: `What a rejection is handled by may throw as well, and would end the process. Wrap it: .catch(guardCallback('<kind>', handler)) ${FROM}.`,
  callback: `What is called back later may throw, and would end the process. Wrap it: guardCallback('<kind>', handler) ${FROM}.`,
  option: `What a library calls may throw, and would end the process. Wrap it: guardCallback('<kind>', handler), or answering('<kind>', otherwise, handler) where it has to answer, ${FROM}; or make one \`try\` of its body.`,
  listener: `What a listener throws would end the process. Wrap it where it is registered: guardCallback('<kind>', handler) ${FROM}.`,
};

/**
 * The parameters of the promise executor around a node: to settle a promise throws nothing.
 * @param {Rule.Node} node
 * @returns {Set<string>}
 */
function settlersAround(node) {
  const names = new Set();
  for (let at = node.parent; at != null; at = at.parent) {
    if (at.type !== 'ArrowFunctionExpression' && at.type !== 'FunctionExpression') continue;
    const { parent } = at;
    const isExecutor =
      parent.type === 'NewExpression' &&
      parent.callee.type === 'Identifier' &&
      parent.callee.name === 'Promise';
    if (!isExecutor) continue;
    for (const parameter of at.params) if (parameter.type === 'Identifier') names.add(parameter.name);
  }
  return names;
}

const CONSTRUCTS = new Set(['answering', 'guardCallback']);

/** @param {Node | null | undefined} node */
const isWrapped = (node) =>
  node?.type === 'CallExpression' && node.callee.type === 'Identifier' && CONSTRUCTS.has(node.callee.name);

/** @param {Node | null | undefined} node */
const isFunction = (node) => node?.type === 'ArrowFunctionExpression' || node?.type === 'FunctionExpression';

/**
 * A function that does nothing, or catches all that it does.
 * @param {Node} node
 */
function isHarmless(node) {
  if (node.type !== 'ArrowFunctionExpression' && node.type !== 'FunctionExpression') return false;
  const { body } = node;
  if (body.type !== 'BlockStatement') return isNothing(body);
  const [first, ...more] = body.body;
  if (first === undefined) return true;
  return more.length === 0 && first.type === 'TryStatement' && first.handler !== null;
}

/** @param {Node} node */
const isNothing = (node) =>
  node.type === 'Literal' || (node.type === 'Identifier' && node.name === 'undefined');

/**
 * What a name stands for.
 * @param {Rule.RuleContext} context
 * @param {Node} node
 * @returns {Node[]}
 */
function meaningsOf(context, node) {
  if (node.type !== 'Identifier') return [node];
  /** @type {Scope.Scope | null} */
  let scope = context.sourceCode.getScope(node);
  while (scope !== null && !scope.set.has(node.name)) scope = scope.upper;
  const definitions = scope?.set.get(node.name)?.defs ?? [];
  /** @type {Node[]} */
  const meanings = [];
  for (const found of definitions) {
    if (found.type === 'FunctionName') meanings.push(found.node);
    else if (found.type === 'Variable' && found.node.init) meanings.push(found.node.init);
  }
  return meanings;
}

/**
 * Whether a name stands for a wrapped listener, as where it is taken off again later.
 * @param {Rule.RuleContext} context
 * @param {Node} node
 */
const namesWrapped = (context, node) => meaningsOf(context, node).some((meaning) => isWrapped(meaning));

/** @param {CallExpression['callee']} callee */
function nameOf(callee) {
  if (callee.type === 'Identifier') return callee.name;
  return callee.type === 'MemberExpression' ? memberName(callee) : undefined;
}

/** @param {import('estree').MemberExpression} member */
function memberName({ computed, property }) {
  if (!computed) return property.type === 'Identifier' ? property.name : undefined;
  return property.type === 'Literal' && typeof property.value === 'string' ? property.value : undefined;
}

/**
 * The functions of an object, by their names.
 * @param {import('estree').ObjectExpression} object
 * @returns {Map<string, Node>}
 */
function membersOf(object) {
  const members = new Map();
  for (const property of object.properties) {
    if (property.type === 'Property' && property.key.type === 'Identifier')
      members.set(property.key.name, property.value);
  }
  return members;
}

/** The listener of `on(event, listener, options?)`, `onAny(listener)`. @param {CallExpression['arguments']} given */
const listenerOf = (given) => (given.length > 1 && !isFunction(given[0]) ? given[1] : given[0]);

/** @type {Rule.RuleModule} */
export const totalEntries = {
  meta: { type: 'problem', schema: [], messages: MESSAGES },
  create(context) {
    /**
     * @param {Node | undefined} node
     * @param {'callback' | 'caught' | 'listener' | 'option'} messageId
     */
    const demandWrapped = (node, messageId) => {
      if (node === undefined || isWrapped(node) || isHarmless(node)) return;
      if (namesWrapped(context, node)) return;
      context.report({ node, messageId });
    };
    /** @param {import('estree').MemberExpression & Rule.NodeParentExtension} node */
    const letGo = (node) => {
      const name = memberName(node);
      if (name === 'then' || name === 'finally') context.report({ node, messageId: 'let_go' });
      if (name !== 'catch' || node.parent.type !== 'CallExpression') return;
      demandWrapped(node.parent.arguments[0], 'caught');
    };
    return {
      UnaryExpression(node) {
        if (node.operator !== 'void' || isNothing(node.argument)) return;
        context.report({ node, messageId: 'let_go' });
      },
      // What `then` and `finally` do may reject anew, and so may what `catch` does.
      'ExpressionStatement > CallExpression > MemberExpression.callee': letGo,
      'ExpressionStatement > ChainExpression > CallExpression > MemberExpression.callee': letGo,
      // `worker.onmessage = …`
      AssignmentExpression({ left, right }) {
        if (left.type !== 'MemberExpression' || !/^on[a-z]+$/.test(memberName(left) ?? '')) return;
        if (isFunction(right) || right.type === 'Identifier') demandWrapped(right, 'listener');
      },
      ObjectExpression(node) {
        const members = membersOf(node);
        const isBehaviour = [...members.keys()].some((name) => OF_BEHAVIOURS.has(name));
        const isOfStream =
          node.parent.type === 'NewExpression' &&
          node.parent.callee.type === 'Identifier' &&
          STREAMS.test(node.parent.callee.name);
        for (const [name, value] of members) {
          const isCalled = OPTIONS.has(name) || (isBehaviour && BEHAVIOUR.has(name)) || isOfStream;
          if (isCalled && isFunction(value)) demandWrapped(value, 'option');
        }
      },
      CallExpression(node) {
        const name = nameOf(node.callee);
        if (name === undefined) return;
        const settlers = settlersAround(node);
        /** @param {Node | undefined} argument */
        const isSettler = (argument) => argument?.type === 'Identifier' && settlers.has(argument.name);
        const instead = TIMERS.get(name);
        if (instead !== undefined) {
          if (isSettler(node.arguments[0])) return;
          context.report({ node, messageId: 'timer', data: { instead } });
          return;
        }
        const last = node.arguments.at(-1);
        if (SERVERS.test(name)) {
          const isListener =
            last !== undefined &&
            meaningsOf(context, last).some((one) => isFunction(one) || one.type === 'FunctionDeclaration');
          if (isListener) demandWrapped(last, 'listener');
          return;
        }
        if (CALLBACKS.has(name) && isFunction(last)) {
          demandWrapped(last, 'callback');
          return;
        }
        if (node.callee.type !== 'MemberExpression') return;
        const listener = listenerOf(node.arguments);
        if (!LISTENERS.has(name) && !(OBSERVERS.has(name) && isFunction(listener))) return;
        if (listener === undefined || listener.type === 'Literal' || isSettler(listener)) return;
        demandWrapped(listener, 'listener');
      },
    };
  },
};

/** The processes whose entries must be total. */
const FOLDERS = ['cluster', 'edge-signaling', 'media-node'];

/** @type {Linter.Config[]} */
export const entryRules = [
  {
    files: FOLDERS.map((folder) => `${folder}/src/**/*.ts`),
    ignores: [
      ...FOLDERS.flatMap((folder) => [`${folder}/src/**/*.test.ts`, `${folder}/src/**/*.contract.ts`]),
      ...FOLDERS.map((folder) => `${folder}/src/testing/**`),
      'cluster/src/process/guarded-callbacks.ts',
      // Programs for developers, not processes of a cluster.
      '**/generate-*.ts',
    ],
    plugins: { plenary: { rules: { 'total-entries': totalEntries } } },
    rules: {
      'plenary/total-entries': 'error',
      // Of two functions that may be given to a promise, the second one is what this is about.
      '@typescript-eslint/no-floating-promises': ['error', { ignoreVoid: false }],
    },
  },
];
