/** `npm run generate` writes every generated file. */
import { GENERATORS } from './checks/parts.ts';
import { runTool } from './checks/run.ts';

for (const generator of GENERATORS) {
  const { ok, output } = await runTool(generator, []);
  if (!ok) {
    process.stderr.write(`${generator} failed:\n${output}\n`);
    process.exitCode = 1;
  }
}
