// @ts-check
/** The images' HEALTHCHECK: is this process alive? Asked where it answers its operators. */
import { readFileSync } from 'node:fs';
import { get } from 'node:http';
import { get as getTls } from 'node:https';

/**
 * A setting as the process itself reads it: from a file where one is named, without the space around it, and not what a
 * Docker link says of a service.
 * @param {string} name
 */
function setting(name) {
  const path = process.env[`${name}_FILE`]?.trim() ?? '';
  const text = path === '' ? (process.env[name] ?? '') : readFileSync(path, 'utf8');
  return /^(tcp|udp|sctp):/i.test(text) ? '' : text.trim();
}

const host = setting('PLENARY_OPERATOR_HOST') || setting('PLENARY_HOST') || '0.0.0.0';
const port = setting('PLENARY_OPERATOR_PORT') || Number(setting('PLENARY_PORT')) + 10_000;
const reachable =
  { '0.0.0.0': '127.0.0.1', '::': '[::1]' }[host] ?? (host.includes(':') ? `[${host}]` : host);
const path = `//${reachable}:${port}/health`;

/** @param {import('node:http').IncomingMessage} response */
const judge = ({ statusCode }) => process.exit(statusCode === 200 ? 0 : 1);
const request =
  setting('PLENARY_TLS_CERT_FILE') === ''
    ? get(`http:${path}`, judge)
    : // It asks its own process, whose certificate is for the name that others know.
      getTls(`https:${path}`, { rejectUnauthorized: false }, judge);
request.on('error', () => process.exit(1));
