// @ts-check
/** The images' HEALTHCHECK: is this process alive? Asked where it answers its operators. */
import { get } from 'node:http';
import { get as getTls } from 'node:https';

const { PLENARY_HOST, PLENARY_OPERATOR_HOST: host = PLENARY_HOST ?? '0.0.0.0', PLENARY_PORT } = process.env;
const port = process.env['PLENARY_OPERATOR_PORT'] ?? Number(PLENARY_PORT) + 10_000;
const reachable =
  { '0.0.0.0': '127.0.0.1', '::': '[::1]' }[host] ?? (host.includes(':') ? `[${host}]` : host);
const path = `//${reachable}:${port}/health`;

/** @param {import('node:http').IncomingMessage} response */
const judge = ({ statusCode }) => process.exit(statusCode === 200 ? 0 : 1);
const request =
  process.env['PLENARY_TLS_CERT_FILE'] === undefined
    ? get(`http:${path}`, judge)
    : // It asks its own process, whose certificate is for the name that others know.
      getTls(`https:${path}`, { rejectUnauthorized: false }, judge);
request.on('error', () => process.exit(1));
