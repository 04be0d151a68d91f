/**
 * Images that are named without a digest: none could be asked for from where this was written. Remove one here as soon as
 * its reference has a digest (deploy/README.md says how to get one).
 */
const WITHOUT_DIGEST: ReadonlySet<string> = new Set([
  'docker.io/library/debian:trixie-slim',
  'docker.io/library/redis:7.4-alpine',
  'docker.io/library/caddy:2.10-alpine',
]);

const PINNED = /^[a-z0-9][\w.\-/:]*:[\w][\w.-]*@sha256:[0-9a-f]{64}$/;
/** Our own images are built from these files, never pulled. */
const OURS = /^plenary\/[a-z-]+:/;

/**
 * What is wrong with the images that a file names.
 * @param text of a Dockerfile or a compose file
 */
export function imageFaults(text: string): string[] {
  return imagesOf(text)
    .filter((image) => !PINNED.test(image) && !OURS.test(image) && !WITHOUT_DIGEST.has(image))
    .map((image) => `${image} names no digest: write NAME:TAG@sha256:…, see deploy/README.md.`);
}

/** Every image that a Dockerfile or compose file takes from elsewhere, with defaults filled in. */
function imagesOf(text: string): string[] {
  const lines = text.split('\n');
  const defaults = new Map<string, string>();
  const stages = new Set<string>(['scratch']);
  const images: string[] = [];
  for (const line of lines) {
    const argument = /^\s*ARG\s+(\w+)=(\S+)/i.exec(line);
    if (argument?.[1] !== undefined) defaults.set(argument[1], argument[2] ?? '');
    const found =
      /^\s*FROM\s+(?:--\S+\s+)*(\S+)/i.exec(line)?.[1] ?? /^\s*image:\s*['"]?([^\s'"]+)/.exec(line)?.[1];
    if (found !== undefined) {
      const image = found
        .replace(/\$\{\w+:?-([^}]*)\}/g, '$1')
        .replace(/\$\{?(\w+)\}?/g, (whole, name: string) => defaults.get(name) ?? whole);
      if (!stages.has(image)) images.push(image);
    }
    const stage = /^\s*FROM\s.*\sAS\s+(\S+)/i.exec(line)?.[1];
    if (stage !== undefined) stages.add(stage);
  }
  return images;
}
