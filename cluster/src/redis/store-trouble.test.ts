import { describe, expect, it } from 'vitest';
import { ADVICE, STORE_TROUBLES, storeTroubleOf } from './store-trouble.ts';

const coded = (code: string, message = code): Error => Object.assign(new Error(message), { code });

describe('why a store does not serve', () => {
  it.each([
    [new Error("OOM command not allowed when used memory > 'maxmemory'."), 'out_of_memory'],
    [new Error('NOREPLICAS Not enough good replicas to write.'), 'too_few_replicas'],
    [new Error('MISCONF Redis is configured to save RDB snapshots'), 'cannot_save'],
    [new Error("READONLY You can't write against a read only replica."), 'read_only'],
    [new Error('LOADING Redis is loading the dataset in memory'), 'loading'],
    [new Error('All sentinels are unreachable. Retrying from scratch after 10ms.'), 'primary_unnamed'],
    [
      new Error('Retrying from scratch after 10ms. Last error: ERR No such master with that name'),
      'primary_unnamed',
    ],
    [
      new Error(
        'All sentinels are unreachable. Retrying from scratch after 10ms. Last error: connect ECONNREFUSED 127.0.0.1:1',
      ),
      'refused',
    ],
    [new Error('MASTERDOWN Link with MASTER is down'), 'primary_away'],
    [new Error('CLUSTERDOWN Hash slot not served'), 'slots_away'],
    [new Error('WRONGPASS invalid username-password pair or user is disabled.'), 'access_denied'],
    [new Error('NOAUTH Authentication required.'), 'access_denied'],
    [new Error('NOPERM No permissions to access a key'), 'access_denied'],
    [new Error("ERR The user executing the script can't access at least one of the keys"), 'access_denied'],
    [new Error('All sentinels are unreachable. Last error: WRONGPASS invalid'), 'access_denied'],
    [new Error('ERR max number of clients reached'), 'too_many_clients'],
    [
      Object.assign(new Error('connect EMFILE 10.1.0.31:6379 - Local (undefined:undefined)'), {
        code: 'EMFILE',
      }),
      'too_many_files',
    ],
    [
      new Error(
        'All sentinels are unreachable. Retrying from scratch after 50ms. Last error: connect EMFILE',
      ),
      'too_many_files',
    ],
    [coded('CERT_HAS_EXPIRED', 'certificate has expired'), 'tls_refused'],
    [coded('ERR_TLS_CERT_ALTNAME_INVALID'), 'tls_refused'],
    [coded('ENOTFOUND', 'getaddrinfo ENOTFOUND redis.example'), 'unknown_name'],
    [coded('ETIMEDOUT', 'connect ETIMEDOUT'), 'unreachable'],
    [coded('ECONNREFUSED'), 'refused'],
    [new Error('no answer within 2000 ms'), 'no_answer'],
    [undefined, 'no_connection'],
  ])('[HL1] %s is %s', (error, trouble) => {
    expect(storeTroubleOf(error)).toBe(trouble);
  });

  it('[HL1] [HL18] gives an advice for each trouble', () => {
    for (const trouble of STORE_TROUBLES) expect(ADVICE[trouble].toDo).not.toBe('');
  });
});
