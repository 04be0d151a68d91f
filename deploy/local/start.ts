/**
 * `npm start`: a whole cluster on this machine, in the foreground.
 */
import { constants } from 'node:os';
import { parseStartArguments, START_USAGE } from './cluster/arguments.ts';
import { LocalClusterError, startLocalCluster } from './cluster/index.ts';
import type { ClusterEvent, LocalCluster } from './cluster/index.ts';
import { LogFiles } from './cluster/log-files.ts';
import { humanLine, plainLine } from './cluster/logs.ts';
import { describeCluster } from './cluster/summary.ts';
import { formatDuration } from './setup/progress.mjs';

/** How often we look whether the process that started us is still there. */
const PARENT_POLL_MS = 1_000;

/** A terminal's Ctrl-C may reach us twice, by the terminal and by npm; a second one this much later means "at once". */
const SECOND_SIGNAL_MS = 1_500;

async function main(): Promise<void> {
  const command = parseStartArguments(process.argv.slice(2), process.env['REDIS_URL']);
  if (command.kind === 'help') {
    console.log(START_USAGE);
    return;
  }
  const { options } = command;
  const startedAt = performance.now();
  const logs = new LogFiles(options.dataDir);
  const stopper = new Stopper();
  stopper.listen();
  console.log('Starting the cluster …');
  const cluster = await startLocalCluster({
    ...options,
    abort: stopper.abort,
    onEvent: (event) => show(event, logs, stopper),
  });
  stopper.hold(cluster);
  const hasWeb = options.web !== false && cluster.edges.length > 0 && (await servesWeb(cluster));
  console.log(describeCluster(cluster, formatDuration(performance.now() - startedAt), hasWeb));
}

/** Asked of an edge, since only the edge knows what it really serves. */
async function servesWeb(cluster: LocalCluster): Promise<boolean> {
  const response = await fetch(`${cluster.edges[0]?.url ?? ''}/`);
  const type = response.headers.get('content-type') ?? '';
  await response.body?.cancel();
  return response.ok && type.includes('text/html');
}

function show(event: ClusterEvent, logs: LogFiles, stopper: Stopper): void {
  switch (event.type) {
    case 'log': {
      logs.write(event.id, event.line);
      // Redis writes plain lines about its start and stop; if it dies, the last ones are shown with its end.
      if (event.id === 'redis') return;
      const line = humanLine(event.id, event.line);
      if (line !== null) console.error(line);
      return;
    }
    case 'exit': {
      if (stopper.stopping) return;
      const lines = event.lastLines.map((line) => `    ${plainLine(line)}`);
      const rest = 'The rest of the cluster stays up; Ctrl-C and `npm start` bring it back whole.';
      console.error([`\n${event.id} ${event.how}. ${rest} Its last lines:`, ...lines, ''].join('\n'));
    }
  }
}

/** Stops the cluster once, on whichever comes first of the signals and our parent's end. */
class Stopper {
  #cluster: LocalCluster | null = null;
  #stoppingSince: number | null = null;
  #exitCode = 0;
  readonly #abort = new AbortController();

  /** Ends a start that is under way. */
  get abort(): AbortSignal {
    return this.#abort.signal;
  }

  get stopping(): boolean {
    return this.#stoppingSince !== null;
  }

  listen(): void {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
      process.on(signal, () => this.#signalled(signal));
    }
    const parent = process.ppid;
    // Only the bootstrap promises to stay; a shell that started us directly may go.
    if (process.env['LOCAL_CLUSTER_PARENT'] !== String(parent)) return;
    setInterval(() => {
      if (process.ppid !== parent) this.#begin('The process that started this one is gone', 1);
    }, PARENT_POLL_MS).unref();
  }

  /** From now on there is something to stop. */
  hold(cluster: LocalCluster): void {
    this.#cluster = cluster;
    if (this.stopping) this.#stop(cluster);
  }

  #signalled(signal: 'SIGINT' | 'SIGTERM' | 'SIGHUP'): void {
    if (this.#stoppingSince === null) {
      this.#begin(signal, signal === 'SIGINT' ? 0 : 128 + constants.signals[signal]);
    } else if (performance.now() - this.#stoppingSince > SECOND_SIGNAL_MS) {
      console.error('Killing what still runs.');
      this.#cluster?.killNow();
      process.exit(130);
    }
  }

  #begin(why: string, exitCode: number): void {
    if (this.stopping) return;
    this.#stoppingSince = performance.now();
    this.#exitCode = exitCode;
    console.log(`\n${why}: stopping the cluster …`);
    this.#abort.abort();
    if (this.#cluster !== null) this.#stop(this.#cluster);
  }

  #stop(cluster: LocalCluster): void {
    cluster.stop().then(
      () => {
        console.log('Stopped. Nothing of it stays behind.');
        process.exit(this.#exitCode);
      },
      (error: unknown) => fail(error),
    );
  }
}

/** An error that a person can act on is printed without a trace; any other error is a bug and keeps its trace. */
function fail(error: unknown): never {
  console.error(error instanceof LocalClusterError ? `\n${error.message}` : error);
  process.exit(1);
}

main().catch(fail);
