import { stripVTControlCharacters } from 'node:util';

const REASON_LINES = 12;

/** The part of vitest's JSON report that this file reads. */
interface VitestReport {
  readonly success: boolean;
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  readonly numPendingTests: number;
  readonly numTodoTests: number;
  readonly testResults: readonly {
    readonly name: string;
    readonly status: string;
    readonly message?: string;
    readonly assertionResults: readonly FailedOrNot[];
  }[];
}

interface FailedOrNot {
  readonly status: string;
  readonly fullName: string;
  readonly failureMessages?: readonly string[];
}

export interface TestCounts {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
  /** File, test and reason for the list at the end, so that a run's last lines are enough. */
  readonly failures: readonly string[];
}

/**
 * Counts one run of vitest. Everything that makes a run fail counts as at least one failed test, so that the closing
 * line never says "0 failed" about a red run: a file that could not be loaded, an error outside of any test, a run that
 * left no report.
 * @param project vitest's name for it
 * @param text the JSON report, or null when there is none
 * @param exitCode of vitest; null when it was ended by a signal
 */
export function countTests(project: string, text: string | null, exitCode: number | null): TestCounts {
  if (text === null) {
    return {
      passed: 0,
      failed: 1,
      skipped: 0,
      failures: [`${project}: vitest ended (exit code ${exitCode ?? 'none, by a signal'}) without a report`],
    };
  }
  const report = JSON.parse(text) as VitestReport;
  const failures: string[] = [];
  for (const file of report.testResults) {
    const failed = file.assertionResults.filter(({ status }) => status === 'failed');
    for (const test of failed)
      failures.push(describeFailure(`${project}: ${file.name} › ${test.fullName}`, test));
    if (file.status === 'failed' && failed.length === 0) {
      failures.push(`${project}: ${file.name} as a whole: ${firstLine(file.message)}`);
    }
  }
  if (failures.length === 0 && (exitCode !== 0 || !report.success)) {
    failures.push(`${project}: an error outside of any test (see "Unhandled Errors" above)`);
  }
  // A project that found no tests (a moved folder, a mistyped pattern) must not pass.
  if (failures.length === 0 && report.numPassedTests === 0)
    failures.push(`${project}: there is no test in it`);
  return {
    passed: report.numPassedTests,
    failed: failures.length,
    skipped: report.numPendingTests + report.numTodoTests,
    failures,
  };
}

/** @returns the sum of several runs */
export function addCounts(counts: readonly TestCounts[]): TestCounts {
  return {
    passed: sum(counts.map(({ passed }) => passed)),
    failed: sum(counts.map(({ failed }) => failed)),
    skipped: sum(counts.map(({ skipped }) => skipped)),
    failures: counts.flatMap(({ failures }) => failures),
  };
}

/** The closing line of `npm test`, read by people and by CI: `12 passed, 0 failed`. */
export function closingLine({ passed, failed, skipped }: TestCounts): string {
  return `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`;
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}

/** With a few lines of each reason: one alone is often `did not start:`, and what the program printed follows. */
function describeFailure(test: string, { failureMessages = [] }: FailedOrNot): string {
  const reasons = failureMessages.flatMap((message) =>
    message
      .split('\n')
      .filter((line) => line.trim() !== '')
      .slice(0, REASON_LINES),
  );
  return [test, ...reasons.map((line) => `    ${stripVTControlCharacters(line).trim()}`)].join('\n');
}

function firstLine(message: string | undefined): string {
  return message?.split('\n').find((line) => line.trim() !== '') ?? 'it could not be run';
}
