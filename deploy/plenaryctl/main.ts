/** `plenaryctl`: what an operator does with single processes of a cluster. */
import { setTimeout as delay } from 'node:timers/promises';
import { AdminFault, ConfigError, nodeKeyText } from '@plenary/cluster';
import { AdminClient, AdminRefusal } from './admin-client.ts';
import { parseArguments, USAGE, UsageError } from './arguments.ts';
import { findNode, NotFound, readAdminTokens, readClusterSecrets } from './node-address.ts';
import { describeStatus, exitCodeOf } from './progress.ts';

const LOOK_EVERY_MS = 1_000;
/** Looks in a row that may fail before the process counts as gone. */
const MAX_FAILED_LOOKS = 5;

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

async function drain(client: AdminClient, deadlineMs: number): Promise<number> {
  let status = await client.drain(deadlineMs);
  let shown = '';
  for (let failed = 0; ;) {
    const line = describeStatus(status);
    if (line !== shown) console.log(line);
    shown = line;
    const exitCode = exitCodeOf(status);
    if (exitCode !== undefined) return exitCode;
    await delay(LOOK_EVERY_MS);
    try {
      status = await client.status();
      failed = 0;
    } catch (fault) {
      failed += 1;
      if (failed === MAX_FAILED_LOOKS) throw fault;
    }
  }
}

try {
  process.exitCode = await main();
} catch (fault) {
  const isTold =
    fault instanceof UsageError ||
    fault instanceof ConfigError ||
    fault instanceof NotFound ||
    fault instanceof AdminFault ||
    fault instanceof AdminRefusal;
  if (!isTold) throw fault;
  console.error(fault instanceof UsageError ? `${fault.message}\n\n${USAGE}` : fault.message);
  process.exitCode = 1;
}
