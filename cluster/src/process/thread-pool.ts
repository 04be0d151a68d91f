/**
 * The number of Node's threads for blocking work; name lookups may use half of them (`name-lookups.ts` relies on this
 * number). With Node's default of four, two names with a silent name server block all other names. Node reads the
 * variable when it first needs a thread, and a module loader may need one before this code runs. So images and the
 * local cluster set it too.
 */
export const THREADS = { UV_THREADPOOL_SIZE: '32' } as const;

process.env['UV_THREADPOOL_SIZE'] ??= THREADS.UV_THREADPOOL_SIZE;
