/**
 * Plays an edge or a media node for the tests of the runner: listens, answers `/ready`, logs as they do, and
 * misbehaves as FIXTURE_ variables say. It has a child of its own, as a media node has workers.
 */
import { spawn } from 'node:child_process';
import { createServer } from 'node:http';
import type { RequestListener } from 'node:http';

const env = process.env;
const id = env['PLENARY_ID'] ?? '';
const log = (level: string, msg: string) =>
  console.log(JSON.stringify({ level, id, msg, time: new Date().toISOString() }));

if (env['FIXTURE_FAULT'] !== undefined) {
  console.error(env['FIXTURE_FAULT']);
  process.exit(1);
}

// Like a mediasoup worker, `cat` ends when its parent is gone; `sleep` would not.
const worker =
  env['FIXTURE_LEAVE_WORKER'] === undefined
    ? spawn('cat', { stdio: ['pipe', 'ignore', 'ignore'] })
    : spawn('sleep', ['1000'], { stdio: 'ignore' });
const end = (why: string) => {
  log('info', `stopping: ${why}`);
  // A worker left alone is what the cluster's check for leftovers must find.
  if (env['FIXTURE_LEAVE_WORKER'] === undefined) worker.kill('SIGKILL');
  process.exit(0);
};

process.on('SIGTERM', () => {
  if (env['FIXTURE_IGNORE_SIGTERM'] === undefined) end('SIGTERM');
});
if (env['PLENARY_PARENT_PIPE'] === '1') {
  process.stdin.on('end', () => end('the parent is gone'));
  process.stdin.resume();
}

const answer: RequestListener = (request, response) => {
  if (request.url === '/crash') {
    log('error', 'about to crash');
    worker.kill('SIGKILL');
    process.kill(process.pid, 'SIGSEGV');
    return;
  }
  if (request.url === '/env') {
    response.end(JSON.stringify(env));
    return;
  }
  const ready = env['FIXTURE_NOT_READY'] === undefined;
  response.writeHead(ready ? 200 : 503).end(ready ? 'ready' : 'waiting for the moon');
};
createServer(answer).listen(Number(env['PLENARY_OPERATOR_PORT']), env['PLENARY_HOST']);
const server = createServer(answer);
server.listen(Number(env['PLENARY_PORT']), env['PLENARY_HOST'], () => log('info', 'listening'));
