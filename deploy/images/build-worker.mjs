// @ts-check
/**
 * Puts a mediasoup worker into a folder, together with the libraries that a bare system lacks, so that the folder can be
 * copied into an image: `node build-worker.mjs /worker`. The worker comes from the same recipe as `npm start`'s.
 */
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import { gatherFacts, workerBinary, workerRuns } from '../local/setup/facts.mjs';
import { prepareWorker } from '../local/setup/step-worker.mjs';
import { Progress } from '../local/setup/progress.mjs';

/** Libraries that belong to glibc: every base image has its own, and a mix of two does not run. */
const OF_GLIBC = /^(ld-linux.*|libc|libm|libdl|libpthread|librt|libresolv)\.so/;

const target = process.argv[2];
if (target === undefined) throw new Error('Usage: node build-worker.mjs FOLDER');

const progress = new Progress(1);
progress.start('mediasoup worker', 'looking for a prebuilt one');
progress.done(await prepareWorker(gatherFacts('start'), progress));

const built = workerBinary();
const worker = join(target, 'mediasoup-worker');
const libraries = join(target, 'lib');
mkdirSync(libraries, { recursive: true });
copyFileSync(built, worker);
for (const line of execFileSync('ldd', [built], { encoding: 'utf8' }).split('\n')) {
  const path = / => (\/\S+)/.exec(line)?.[1];
  if (path === undefined || OF_GLIBC.test(basename(path))) continue;
  copyFileSync(path, join(libraries, basename(path)));
}
// DT_RPATH, not RUNPATH: it also serves the libraries that these libraries need.
execFileSync('patchelf', ['--force-rpath', '--set-rpath', '$ORIGIN/lib', worker]);
if (!workerRuns(worker)) throw new Error(`The worker does not run from ${target}.`);
