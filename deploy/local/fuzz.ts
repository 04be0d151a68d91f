/** `npm run fuzz -- --frames N --seed S`: more frames than `npm test` has time for, or those of one seed again. */
import { spawnSync } from 'node:child_process';
import { parseArgs } from 'node:util';

const { values } = parseArgs({
  options: { frames: { type: 'string', default: '100000' }, seed: { type: 'string' } },
});
const { status } = spawnSync('vitest', ['run', '--project', 'integration', 'fuzz.integration.test.ts'], {
  stdio: 'inherit',
  env: {
    ...process.env,
    FUZZ_FRAMES: values.frames,
    ...(values.seed === undefined ? {} : { FUZZ_SEED: values.seed }),
  },
});
process.exitCode = status ?? 1;
