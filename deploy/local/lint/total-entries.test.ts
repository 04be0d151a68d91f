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
  ])('[EN4] refuses, as %s: %s', async (why, code) => {
    expect(await refusals(code)).toEqual([why]);
  });

  it.each([
    'inBackground(() => work());',
    'every(10, () => work());',
    'const timer = after(10, work);',
    "socket.on('message', entry('socket', (message) => work(message)));",
    "const listener = entry('socket', work); socket.on('message', listener);",
    'await new Promise((resolve) => setTimeout(resolve, 10));',
    "new Promise((resolve, reject) => { server.once('error', reject); });",
    'work().catch(failed);',
    'const done = work().then(next);',
    'return work().finally(done);',
    'void 0;',
    "const onOpen = options.on('name');",
    'settings.onMalformed(fault.message);',
  ])('[EN4] takes: %s', async (code) => {
    expect(await refusals(`async function body() { ${code} }`)).toEqual([]);
  });
});
