import { connect } from 'node:net';

const TIMEOUT_MS = 5_000;

/**
 * How often Redis ran each command since it started, including those in scripts. It sends one inline command over a plain
 * socket, because a Redis client would be a dependency for a single line.
 * @throws Error if Redis does not answer
 */
export async function redisCommandCalls(redisUrl: string): Promise<ReadonlyMap<string, number>> {
  const { hostname, port } = new URL(redisUrl);
  const answer = await new Promise<string>((resolve, reject) => {
    const socket = connect({ host: hostname, port: Number(port || 6_379) });
    let text = '';
    socket.setEncoding('utf8');
    socket.setTimeout(TIMEOUT_MS, () => socket.destroy(new Error(`${redisUrl} does not answer`)));
    socket.on('error', reject);
    socket.on('data', (chunk: string) => {
      text += chunk;
      const [, length, body] = /^\$(\d+)\r\n(.*)$/s.exec(text) ?? [];
      if (text.startsWith('-')) socket.destroy(new Error(text.trim()));
      else if (body !== undefined && Buffer.byteLength(body) >= Number(length)) {
        socket.end();
        resolve(body);
      }
    });
    socket.write('INFO commandstats\r\n');
  });
  return parseCommandStats(answer);
}

/** Reads lines such as `cmdstat_evalsha:calls=12,usec=340,…`. */
export function parseCommandStats(text: string): ReadonlyMap<string, number> {
  return new Map(
    [...text.matchAll(/^cmdstat_([^:]+):calls=(\d+)/gm)].map(([, name = '', calls]): [string, number] => [
      name.toLowerCase(),
      Number(calls),
    ]),
  );
}
