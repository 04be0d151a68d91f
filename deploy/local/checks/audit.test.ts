import { describe, expect, it } from 'vitest';
import { judgeAudit } from './audit.ts';

const report = (severity: string) =>
  JSON.stringify({
    auditReportVersion: 2,
    vulnerabilities: {
      a: { name: 'a', severity, range: '<1.2.3', via: ['b', { title: 'Bad', url: 'https://x.example/1' }] },
    },
  });

describe('[SU5] a known vulnerability that is high fails the check', () => {
  it.each(['high', 'critical'])('%s', (severity) => {
    const { ok, output } = judgeAudit(report(severity));
    expect(ok).toBe(false);
    expect(output).toBe(`a <1.2.3: ${severity}: b, Bad (https://x.example/1)`);
  });

  it.each(['low', 'moderate'])('%s does not', (severity) => {
    expect(judgeAudit(report(severity)).ok).toBe(true);
  });

  it.each(['', '{"message": "405 Method Not Allowed", "statusCode": 405}', 'npm error'])(
    '[SU8] an answer that is no report is said and fails nothing: %j',
    (output) => {
      expect(judgeAudit(output)).toMatchObject({
        ok: true,
        note: expect.stringContaining('not asked') as string,
      });
    },
  );
});
