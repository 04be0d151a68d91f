// @ts-check
/**
 * Every entry of a process is total (SPEC EN4): a listener, a timer's action and a promise that nobody awaits go through
 * `cluster/src/process/entry.ts`, so that what they throw costs one message and not the process. A rule, because one
 * `void work()` that is added later would undo it.
 */

/** @import { Linter, Rule, Scope } from 'eslint' */
/** @import { CallExpression, Node } from 'estree' */

const LISTENERS = new Set(['addEventListener', 'addListener', 'on', 'onAny', 'once', 'prependListener']);
/** Of other makers of events; an object of that name may as well be told something. */
const OBSERVERS = new Set(['onAborted', 'onAvailability', 'onChange', 'onData', 'onMalformed']);
/** Functions that take what is called later, with what to use instead. */
const TIMERS = new Map([
  ['setInterval', 'every(ms, action)'],
  ['setTimeout', 'after(ms, action)'],
  ['setImmediate', 'afterTurn(action)'],
  ['queueMicrotask', 'inBackground(action)'],
  ['nextTick', 'inBackground(action)'],
]);

const FROM = 'of @plenary/cluster (process/entry.ts)';
export const MESSAGES = {
  let_go: `A promise that nobody awaits ends the process when it rejects. Use inBackground(() => …) ${FROM}.`,
  timer: `What a timer calls may throw, and would end the process. Use {{instead}} ${FROM}.`,
  listener: `What a listener throws would end the process. Wrap it where it is registered: entry('<kind>', handler) ${FROM}.`,
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

/** @param {Node | null | undefined} node */
const isWrapped = (node) =>
  node?.type === 'CallExpression' && node.callee.type === 'Identifier' && node.callee.name === 'entry';

/**
 * Whether a name stands for a wrapped listener, as where it is taken off again later.
 * @param {Rule.RuleContext} context
 * @param {Node} node
 */
function namesWrapped(context, node) {
  if (node.type !== 'Identifier') return false;
  /** @type {Scope.Scope | null} */
  let scope = context.sourceCode.getScope(node);
  while (scope !== null && !scope.set.has(node.name)) scope = scope.upper;
  const definitions = scope?.set.get(node.name)?.defs ?? [];
  return definitions.some((found) => found.type === 'Variable' && isWrapped(found.node.init));
}

/** @param {CallExpression['callee']} callee */
function nameOf(callee) {
  if (callee.type === 'Identifier') return callee.name;
  if (callee.type !== 'MemberExpression' || callee.computed) return undefined;
  return callee.property.type === 'Identifier' ? callee.property.name : undefined;
}

/** @type {Rule.RuleModule} */
export const totalEntries = {
  meta: { type: 'problem', schema: [], messages: MESSAGES },
  create(context) {
    return {
      UnaryExpression(node) {
        if (node.operator !== 'void') return;
        const { argument } = node;
        if (argument.type === 'CallExpression' || argument.type === 'AwaitExpression') {
          context.report({ node, messageId: 'let_go' });
        }
      },
      // A rejection that `catch` handles is handled; what `then` and `finally` do may reject anew.
      'ExpressionStatement > CallExpression > MemberExpression.callee'(
        /** @type {import('estree').MemberExpression & Rule.NodeParentExtension} */ node,
      ) {
        const name = node.property.type === 'Identifier' ? node.property.name : undefined;
        if (name === 'then' || name === 'finally') context.report({ node, messageId: 'let_go' });
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
        if (node.callee.type !== 'MemberExpression') return;
        const listener = node.arguments.at(-1);
        const isFunction =
          listener?.type === 'ArrowFunctionExpression' || listener?.type === 'FunctionExpression';
        if (!LISTENERS.has(name) && !(OBSERVERS.has(name) && isFunction)) return;
        if (listener === undefined || isWrapped(listener) || isSettler(listener)) return;
        if (listener.type === 'Literal' || namesWrapped(context, listener)) return;
        context.report({ node: listener, messageId: 'listener' });
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
      'cluster/src/process/entry.ts',
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
