/** `npm run bench:span` measures the cost of rooms that span media nodes. */
import { writeFileSync } from 'node:fs';
import { describeMachine } from '../bench-join/machine.ts';
import { endMediaLinks } from '../bots/bot-transport.ts';
import { hopSection } from './hop.ts';
import { linksSection } from './links.ts';
import { parseSpanOptions, USAGE } from './options.ts';
import { pipeCpuSection } from './pipe-cpu.ts';
import { placementsSection } from './placements.ts';
import { formatSpanReport, spanReportData } from './report.ts';
import type { SpanResult, SpanSection } from './section.ts';
import { uploadSection } from './upload.ts';

/** The sections, in the order in which they run and are reported. */
const SECTIONS: readonly SpanSection[] = [
  placementsSection,
  hopSection,
  pipeCpuSection,
  linksSection,
  uploadSection,
];

const progress = (line: string): void => {
  process.stderr.write(`… ${line}\n`);
};

function chosenSections(only: readonly string[] | undefined): readonly SpanSection[] {
  const unknown = only?.filter((name) => !SECTIONS.some((section) => section.name === name)) ?? [];
  if (unknown.length > 0) {
    const known = SECTIONS.map(({ name }) => name).join(', ');
    throw new Error(`--only: there is no ${unknown.join(', ')}; there is ${known}`);
  }
  return SECTIONS.filter(({ name }) => only === undefined || only.includes(name));
}

async function main(): Promise<void> {
  const options = parseSpanOptions(process.argv.slice(2));
  if (options === 'help') {
    process.stdout.write(USAGE);
    return;
  }
  const machine = describeMachine();
  const sections: Record<string, SpanResult> = {};
  try {
    for (const section of chosenSections(options.only))
      sections[section.name] = await section.run(options, progress);
  } finally {
    await endMediaLinks();
  }
  const report = { takenAt: new Date().toISOString(), machine, sections };
  const json = JSON.stringify(spanReportData(report), null, 2);
  if (options.json !== undefined) writeFileSync(options.json, `${json}\n`);
  process.stdout.write(`${formatSpanReport(report)}\n\n${json}\n`);
}

main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
});
