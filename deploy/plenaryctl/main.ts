/** `plenaryctl`: what an operator does with the processes and rooms of a cluster. */
import { setTimeout as delay } from 'node:timers/promises';
import { AdminFault, adminKeyText, ConfigError, nodeKeyText } from '@plenary/cluster';
import { AdminClient, AdminRefusal } from './admin-client.ts';
import { parseArguments, USAGE, UsageError } from './arguments.ts';
import type { Command } from './arguments.ts';
import { describeAnswers } from './describe-answers.ts';
import type { EdgeAnswer } from './describe-answers.ts';
import {
  addressAt,
  findEdges,
  findNode,
  NotFound,
  readAdminTokens,
  readClusterSecrets,
} from './node-address.ts';
import { describeStatus, exitCodeOf } from './progress.ts';

/** How often the process is read, in milliseconds. */
const CHECK_INTERVAL_MS = 1_000;
/** How many readings in a row may fail before the process counts as gone. */
const MAX_FAILED_READINGS = 5;

async function main(): Promise<number> {
  const command = parseArguments(process.argv.slice(2));
  if (command.kind === 'help') {
    console.log(USAGE);
    return 0;
  }
  if (command.kind === 'node-key') {
    const secrets = readClusterSecrets(process.env);
    console.log(secrets.map((secret) => nodeKeyText(secret, command.mediaNodeId)).join());
    return 0;
  }
  const tokens = readAdminTokens(process.env);
  if (command.kind === 'admin-key') {
    console.log(tokens.map((token) => adminKeyText(token, command.subject)).join());
    return 0;
  }
  if (command.kind === 'rooms' || command.kind === 'people' || command.kind === 'revoke') {
    const urls = command.kind === 'revoke' ? command.edges : [];
    const addresses = urls.length > 0 ? urls.map(addressAt) : await findEdges(process.env);
    return askEdges(
      addresses.map((address) => new AdminClient(address, tokens)),
      command,
    );
  }
  const client = new AdminClient(await findNode(command.node, process.env), tokens);
  switch (command.kind) {
    case 'status':
      console.log(describeStatus(await client.status()));
      return 0;
    case 'undrain':
      console.log(describeStatus(await client.undrain()));
      return 0;
    case 'drain':
      return drain(client, command.deadlineMs);
  }
}

type RoomCommand = Extract<Command, { kind: 'rooms' | 'people' | 'revoke' }>;

/** Asks all edges, each of which knows of its own people. @returns 1 where one did not answer: what was said is not all */
async function askEdges(edges: readonly AdminClient[], command: RoomCommand): Promise<number> {
  const answers = await Promise.allSettled(
    edges.map(async (edge): Promise<EdgeAnswer> => {
      switch (command.kind) {
        case 'rooms':
          return { kind: 'rooms', ...(await edge.rooms(command.tenant)) };
        case 'people':
          return { kind: 'people', ...(await edge.people(command.tenant, command.room)) };
        case 'revoke':
          return { kind: 'revoke', ended: await edge.revoke(command.request) };
      }
    }),
  );
  const answered = answers.flatMap((answer) => (answer.status === 'fulfilled' ? [answer.value] : []));
  // It is in the store when any edge says so; and those that did not answer have people that go on.
  if (answered.length > 0) for (const line of describeAnswers(answered)) console.log(line);
  const faults = answers.flatMap((answer): unknown[] =>
    answer.status === 'rejected' ? [answer.reason] : [],
  );
  for (const fault of faults) {
    if (!isTold(fault)) throw fault;
    console.error(fault.message);
  }
  return faults.length === 0 ? 0 : 1;
}

async function drain(client: AdminClient, deadlineMs: number): Promise<number> {
  let status = await client.drain(deadlineMs);
  let shown = '';
  for (let failed = 0; ;) {
    const line = describeStatus(status);
    if (line !== shown) console.log(line);
    shown = line;
    const exitCode = exitCodeOf(status);
    if (exitCode !== undefined) return exitCode;
    await delay(CHECK_INTERVAL_MS);
    try {
      status = await client.status();
      failed = 0;
    } catch (fault) {
      failed += 1;
      if (failed === MAX_FAILED_READINGS) throw fault;
    }
  }
}

/** Whether the message says all that an operator can do about it. */
function isTold(fault: unknown): fault is Error {
  return [UsageError, ConfigError, NotFound, AdminFault, AdminRefusal].some((kind) => fault instanceof kind);
}

try {
  process.exitCode = await main();
} catch (fault) {
  if (!isTold(fault)) throw fault;
  console.error(fault instanceof UsageError ? `${fault.message}\n\n${USAGE}` : fault.message);
  process.exitCode = 1;
}
