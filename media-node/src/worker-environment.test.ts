import { expect, test } from 'vitest';
import { keepForWorkers } from './worker-environment.ts';

test('[WK10] workers get only listed environment variables, and no secret of any name', () => {
  const kept = {
    PATH: '/bin',
    LD_LIBRARY_PATH: '/lib',
    MEDIASOUP_WORKER_BIN: '/w',
    LC_ALL: 'C',
    NODE_ENV: 'x',
  };
  const environment = {
    ...kept,
    PLENARY_ADMIN_KEY: 's',
    PLENARY_CLUSTER_SECRET: 's',
    REDIS_URL: 's',
    CONSUL_HTTP_TOKEN: 's',
    SOME_SECRET_OF_TOMORROW: 's',
  };
  keepForWorkers(environment);
  expect(environment).toEqual(kept);
});
