// @ts-check
import { mkdirSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import { join, relative } from 'node:path';
import { PrivateApt } from './apt.mjs';
import { SetupError } from './errors.mjs';
import { binFolder, consulBinary, toolchain } from './paths.mjs';
import { outputOf, runLogged } from './process.mjs';
import { CONSUL_SUITE } from './versions.mjs';

/**
 * Unpacks Debian's Consul into `.toolchain/consul`, for the tests. It is not installed: no service and no user come along.
 * @returns {Promise<string>} what was done
 */
export async function prepareConsul() {
  const folder = join(toolchain, 'consul');
  const apt = new PrivateApt('consul', [{ kind: 'deb', suite: CONSUL_SUITE }], 'consul');
  rmSync(folder, { recursive: true, force: true });
  try {
    await apt.update();
    for (const deb of await apt.download([`consul/${CONSUL_SUITE}`]))
      await runLogged('dpkg', ['-x', deb, folder], { log: 'consul' });
  } finally {
    apt.remove();
  }
  const program = join(folder, 'usr/bin/consul');
  const version = /^Consul (\S+)/.exec(outputOf(program, ['version']) ?? '')?.[1];
  if (version === undefined) {
    throw new SetupError(
      `Debian ${CONSUL_SUITE}'s Consul does not run on this machine (it is at ${program}). Install Consul yourself, then try again.`,
    );
  }
  mkdirSync(binFolder, { recursive: true });
  const link = `${consulBinary}.new`;
  rmSync(link, { force: true });
  symlinkSync(relative(binFolder, program), link);
  renameSync(link, consulBinary);
  return `${version} of Debian ${CONSUL_SUITE} in .toolchain/consul${apt.note}`;
}
