// @ts-check
/** The images' HEALTHCHECK: is this process alive? Asked where it listens. */
const { PLENARY_HOST: host = '0.0.0.0', PLENARY_PORT: port } = process.env;
const reachable =
  { '0.0.0.0': '127.0.0.1', '::': '[::1]' }[host] ?? (host.includes(':') ? `[${host}]` : host);

const response = await fetch(`http://${reachable}:${port}/health`);
process.exit(response.ok ? 0 : 1);
