import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { WebSocket } from 'ws';
import { z } from 'zod';

/** Debian's path; `PLENARY_FIREFOX` names another one. */
const FIREFOX = process.env['PLENARY_FIREFOX'] ?? '/usr/bin/firefox-esr';
const PREFERENCES: Readonly<Record<string, boolean | number | string>> = {
  // A fake camera and microphone, without a permission prompt.
  'media.navigator.streams.fake': true,
  'media.navigator.permission.disabled': true,
  'media.autoplay.default': 0,
  // No downloads, telemetry or first-run questions.
  'app.update.enabled': false,
  'browser.shell.checkDefaultBrowser': false,
  'datareporting.policy.dataSubmissionEnabled': false,
  'network.captive-portal-service.enabled': false,
  'network.connectivity-service.enabled': false,
  'services.settings.server': 'data:,',
};

const ANSWER = z.object({ id: z.int(), result: z.unknown().optional(), message: z.string().optional() });
const CONTEXTS = z.object({ contexts: z.array(z.object({ context: z.string() })).min(1) });
const EVALUATED = z.object({
  result: z.object({ value: z.string() }).optional(),
  exceptionDetails: z.object({ text: z.string() }).optional(),
});

/** The reason why there is no Firefox to test with, or `undefined` if there is one. */
export function whyNoFirefox(): string | undefined {
  return existsSync(FIREFOX)
    ? undefined
    : `no Firefox at ${FIREFOX}: run \`npm run setup\` on Debian, or set PLENARY_FIREFOX`;
}

/**
 * A headless Firefox with one page, driven by WebDriver BiDi (w3.org/TR/webdriver-bidi). Playwright needs commands that the
 * stock ESR does not have, and these tests need only three.
 */
export class Firefox {
  readonly #socket: WebSocket;
  readonly #end: () => Promise<void>;
  readonly #waiting = new Map<number, (answer: z.infer<typeof ANSWER>) => void>();
  #lastId = 0;
  #context = '';

  private constructor(socket: WebSocket, end: () => Promise<void>) {
    this.#socket = socket;
    this.#end = end;
    socket.on('message', (data: Buffer) => {
      const answer = ANSWER.safeParse(JSON.parse(data.toString()));
      // A message without an id is an event; this client subscribes to none.
      if (answer.success) this.#waiting.get(answer.data.id)?.(answer.data);
    });
  }

  static async launch(): Promise<Firefox> {
    const profile = await mkdtemp(join(tmpdir(), 'plenary-firefox-'));
    const lines = Object.entries(PREFERENCES).map(
      ([name, value]) => `user_pref(${JSON.stringify(name)}, ${JSON.stringify(value)});`,
    );
    await writeFile(join(profile, 'user.js'), lines.join('\n'));
    const child = spawn(
      FIREFOX,
      ['--headless', '--no-remote', '--profile', profile, '--remote-debugging-port', '0'],
      {
        stdio: ['ignore', 'ignore', 'pipe'],
        env: { ...process.env, HOME: profile },
      },
    );
    const ended = once(child, 'exit');
    const end = async (): Promise<void> => {
      child.kill('SIGKILL');
      await ended;
      await rm(profile, { recursive: true, force: true, maxRetries: 5 });
    };
    try {
      let url: string | undefined;
      for await (const line of createInterface({ input: child.stderr })) {
        url = /WebDriver BiDi listening on (ws:\S+)/.exec(line)?.[1];
        if (url !== undefined) break;
      }
      if (url === undefined) throw new Error('Firefox exited before it listened for WebDriver BiDi.');
      child.stderr.resume();
      const socket = new WebSocket(`${url}/session`);
      await once(socket, 'open');
      const firefox = new Firefox(socket, end);
      await firefox.#command('session.new', { capabilities: {} });
      const { contexts } = CONTEXTS.parse(await firefox.#command('browsingContext.getTree', {}));
      firefox.#context = contexts[0]?.context ?? '';
      return firefox;
    } catch (error) {
      await end();
      throw error;
    }
  }

  async goto(url: string): Promise<void> {
    await this.#command('browsingContext.navigate', { context: this.#context, url, wait: 'complete' });
  }

  /** Evaluates an expression on the page, awaits it, and parses its value by a schema. */
  async evaluate<Value>(schema: z.ZodType<Value>, expression: string): Promise<Value> {
    const { result, exceptionDetails } = EVALUATED.parse(
      await this.#command('script.evaluate', {
        expression: `(async () => JSON.stringify({ value: await (${expression}) }))()`,
        target: { context: this.#context },
        awaitPromise: true,
        userActivation: true,
      }),
    );
    if (result === undefined) throw new Error(`${expression}: ${exceptionDetails?.text ?? ''}`);
    return z.object({ value: schema }).parse(JSON.parse(result.value)).value;
  }

  async close(): Promise<void> {
    this.#socket.terminate();
    await this.#end();
  }

  async #command(method: string, params: object): Promise<unknown> {
    this.#lastId += 1;
    const id = this.#lastId;
    const { promise, resolve } = Promise.withResolvers<z.infer<typeof ANSWER>>();
    this.#waiting.set(id, resolve);
    this.#socket.send(JSON.stringify({ id, method, params }));
    const { result, message } = await promise;
    this.#waiting.delete(id);
    if (message !== undefined) throw new Error(`${method}: ${message}`);
    return result;
  }
}
