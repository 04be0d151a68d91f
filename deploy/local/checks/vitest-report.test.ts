import { describe, expect, it } from 'vitest';
import { addCounts, closingLine, countTests } from './vitest-report.ts';

const report = (
  tests: { status: string; fullName: string; failureMessages?: string[] }[],
  fileStatus = 'passed',
  message = '',
) => {
  const count = (status: string) => tests.filter((test) => test.status === status).length;
  return JSON.stringify({
    success: fileStatus === 'passed',
    numPassedTests: count('passed'),
    numFailedTests: count('failed'),
    numPendingTests: count('skipped'),
    numTodoTests: 0,
    testResults: [{ name: 'a.test.ts', status: fileStatus, message, assertionResults: tests }],
  });
};
const passed = { status: 'passed', fullName: 'works' };

describe('countTests', () => {
  it('counts a good run', () => {
    expect(closingLine(countTests('unit', report([passed, passed]), 0))).toBe('2 passed, 0 failed');
  });

  it('names failed tests, and says how many were skipped', () => {
    const counts = countTests(
      'unit',
      report([passed, { status: 'failed', fullName: 'b' }, { status: 'skipped', fullName: 'c' }], 'failed'),
      1,
    );
    expect(closingLine(counts)).toBe('1 passed, 1 failed, 1 skipped');
    expect(counts.failures).toEqual(['unit: a.test.ts › b']);
  });

  it('says why a test failed, in a few lines', () => {
    const output = Array.from({ length: 30 }, (_, index) => `line ${index}`).join('\n');
    const failed = {
      status: 'failed',
      fullName: 'b',
      failureMessages: [`Error: it did not start:\n\n${output}`, '\u001B[31mError: and then\u001B[39m'],
    };
    const [said = ''] = countTests('unit', report([failed], 'failed'), 1).failures;
    const lines = said.split('\n');
    expect(lines.slice(0, 3)).toEqual(['unit: a.test.ts › b', '    Error: it did not start:', '    line 0']);
    expect(lines).toHaveLength(14);
    expect(lines.at(-1)).toBe('    Error: and then');
  });

  it('counts a file that could not be loaded', () => {
    const counts = countTests('unit', report([], 'failed', 'Cannot find x\nat y'), 1);
    expect(counts.failures).toEqual(['unit: a.test.ts as a whole: Cannot find x']);
  });

  it('counts an error outside of any test, although every test passed', () => {
    expect(countTests('unit', report([passed]), 1)).toMatchObject({ passed: 1, failed: 1 });
  });

  it('counts a run that left no report, and one that ran nothing', () => {
    expect(countTests('unit', null, null).failed).toBe(1);
    expect(countTests('unit', report([]), 0).failures).toEqual(['unit: there is no test in it']);
  });

  it('adds up', () => {
    const total = addCounts([countTests('unit', report([passed]), 0), countTests('e2e', null, 1)]);
    expect(closingLine(total)).toBe('1 passed, 1 failed');
  });
});
