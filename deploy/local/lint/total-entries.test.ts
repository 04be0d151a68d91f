import { ESLint } from 'eslint';
import tseslint from 'typescript-eslint';
import { describe, expect, it } from 'vitest';
import { totalEntries } from './total-entries.js';

const eslint = new ESLint({
  overrideConfigFile: true,
  overrideConfig: [
    {
      files: ['**/*.ts'],
      languageOptions: { parser: tseslint.parser },
      plugins: { plenary: { rules: { 'total-entries': totalEntries } } },
      rules: { 'plenary/total-entries': 'error' },
    },
  ],
});

async function refusals(code: string): Promise<(string | null)[]> {
  const [result] = await eslint.lintText(`${code}\n`, { filePath: 'edge-signaling/src/a.ts' });
  return (result?.messages ?? []).map(({ message, messageId }) => messageId ?? message);
}

describe('total entries', () => {
  it.each([
    ['let_go', 'void work();'],
    ['let_go', 'const start = () => void this.work();'],
    ['let_go', 'work().then(done, failed);'],
    ['let_go', 'work().catch(failed).finally(done);'],
    ['timer', 'setInterval(() => work(), 10);'],
    ['timer', 'setTimeout(work, 10);'],
    ['timer', 'setImmediate(async () => work());'],
    ['timer', 'process.nextTick(work);'],
    ['timer', 'queueMicrotask(work);'],
    ['timer', 'globalThis.setTimeout(work, 10);'],
    ['listener', "socket.on('message', (message) => work(message));"],
    ['listener', "socket.once('close', work);"],
    ['listener', 'socket.onAny(async () => work());'],
    ['listener', "signal.addEventListener('abort', work);"],
    ['listener', 'store.onAvailability(() => work());'],
    ['listener', "const listener = () => work(); socket.on('message', listener);"],
    ['listener', "new Promise((resolve) => { socket.on('end', () => resolve(parse())); });"],
    ['let_go', 'void promise;'],
    ['let_go', 'work?.().then(done, failed);'],
    ['caught', 'work().catch((fault) => tell(fault));'],
    ['caught', 'work().catch(failed);'],
    ['caught', 'work?.().catch(failed);'],
    ['callback', 'server.listen(3000, () => work());'],
    ['callback', 'io.use((socket, next) => next());'],
    ['callback', "socket.emit('question', {}, (answer) => work(answer));"],
    ['callback', 'readFile(path, (fault, text) => parse(text));'],
    ['callback', 'pipeline(from, to, (fault) => work(fault));'],
    ['listener', 'createServer((request, response) => response.end());'],
    ['listener', 'createServer(options, function (request) { work(request); });'],
    ['listener', 'const answer = () => work(); createSecureServer(options, answer);'],
    ['listener', 'function answer() {} createServer(answer);'],
    ['listener', 'worker.onmessage = (message) => work(message);'],
    ['listener', 'worker.onerror = work;'],
    ['listener', "socket['on']('message', work);"],
    ['listener', "signal.addEventListener('abort', work, { once: true });"],
    ['listener', "process.on('SIGTERM', () => work());"],
    ['listener', "redis?.on('error', () => work());"],
    ['option', 'new Redis({ retryStrategy: (times) => wait(times) });'],
    ['option', 'new Server({ allowRequest(request, decide) { decide(null, judge(request)); } });'],
    ['option', 'serve(pattern, { maxBackpressure: 1, ping: (socket) => work(socket) });'],
    ['option', 'new Transform({ transform(chunk, encoding, done) { done(null, parse(chunk)); } });'],
  ])('[EN23] refuses, as %s: %s', async (why, code) => {
    expect(await refusals(code)).toEqual([why]);
  });

  it.each([
    'inBackground(() => work());',
    'every(10, () => work());',
    'const timer = after(10, work);',
    "socket.on('message', guardCallback('socket', (message) => work(message)));",
    "const listener = guardCallback('socket', work); socket.on('message', listener);",
    'await new Promise((resolve) => setTimeout(resolve, 10));',
    "new Promise((resolve, reject) => { server.once('error', reject); });",
    "work().catch(guardCallback('background', failed));",
    'work().catch(() => undefined);',
    'return work().catch(failed);',
    'await work().catch(failed);',
    "server.listen(3000, guardCallback('http', () => work()));",
    'socket.close();',
    "const answer = guardCallback('http', work); createServer(options, answer);",
    'const options = {}; createServer(options);',
    "worker.onmessage = guardCallback('child_process', work);",
    'worker.onmessage = null;',
    "signal.addEventListener('abort', guardCallback('timer', work), { once: true });",
    "new Redis({ retryStrategy: answering('store', 100, (times) => wait(times)) });",
    'serve(pattern, { maxBackpressure: 1, upgrade: () => { try { work(); } catch { end(); } } });',
    'const parts = { open: () => work(), close: () => work() };',
    'const done = work().then(next);',
    'return work().finally(done);',
    'void 0;',
    "const onOpen = options.on('name');",
    'settings.onMalformed(fault.message);',
  ])('[EN23] takes: %s', async (code) => {
    expect(await refusals(`async function body() { ${code} }`)).toEqual([]);
  });
});
