/**
 * How many threads Node has for what blocks, of which half may look up names (`name-lookups.ts` counts on so many). With Node's own four, two
 * names whose name server is silent hold up every other one. It is read when the first
 * thread is needed, which a loader of modules may do before this runs: images and the local cluster set it as well.
 */
export const THREADS = { UV_THREADPOOL_SIZE: '32' } as const;

process.env['UV_THREADPOOL_SIZE'] ??= THREADS.UV_THREADPOOL_SIZE;
