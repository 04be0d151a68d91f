/**
 * A process that logs so many lines, tells its parent, and dies: what becomes of its last line is the question. Its parameters
 * are how many lines it writes, and for how many milliseconds it may wait for its reader at the end.
 */
import { createLogger, openStandardOutput } from '../index.ts';

const [lines = 0, lastLinesWithinMs] = process.argv.slice(2).map(Number);
const output = openStandardOutput(process, lastLinesWithinMs);
const logger = createLogger({ kind: 'edge', id: 'child', datacenter: 'gra' }, 'info', output);
let lost = 0;
output.onLost(() => {
  lost += 1;
});
for (let line = 0; line < lines; line += 1) logger.info({ line, filling: 'x'.repeat(100) }, 'a line');
logger.fatal('the last one');
process.send?.({ lost });
process.once('message', () => process.exit(3));
