/** What a worker may know of how its media node was started: where programs and libraries are, and how they are debugged. */
const FOR_WORKERS =
  /^(PATH|HOME|LANG|LANGUAGE|LC_\w+|TZ|TMPDIR|LD_\w+|MALLOC_\w+|GLIBC_TUNABLES|[ALTU]SAN_OPTIONS|SSL_CERT_(FILE|DIR)|NODE_\w+|UV_\w+|DEBUG\w*|MEDIASOUP_\w+|(DONT_)?FAKE\w+)$/;

/**
 * Takes everything else out of an environment, above all secrets, whatever they will be called: a worker reads what strangers
 * send (SPEC WK10).
 */
export function keepForWorkers(environment: NodeJS.ProcessEnv): void {
  for (const name of Object.keys(environment)) {
    if (!FOR_WORKERS.test(name)) Reflect.deleteProperty(environment, name);
  }
}
