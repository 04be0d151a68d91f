/** The environment variables that a worker keeps: paths of programs and libraries, and debugging settings. */
const FOR_WORKERS =
  /^(PATH|HOME|LANG|LANGUAGE|LC_\w+|TZ|TMPDIR|LD_\w+|MALLOC_\w+|GLIBC_TUNABLES|[ALTU]SAN_OPTIONS|SSL_CERT_(FILE|DIR)|NODE_\w+|UV_\w+|DEBUG\w*|MEDIASOUP_\w+|(DONT_)?FAKE\w+)$/;

/**
 * Removes all other variables from an environment, above all secrets, including those added later: a worker processes
 * packets from strangers (SPEC WK10).
 */
export function keepForWorkers(environment: NodeJS.ProcessEnv): void {
  for (const name of Object.keys(environment)) {
    if (!FOR_WORKERS.test(name)) Reflect.deleteProperty(environment, name);
  }
}
