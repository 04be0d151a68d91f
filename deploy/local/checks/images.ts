const PINNED = /^[a-z0-9][\w.\-/:]*:[\w][\w.-]*@sha256:[0-9a-f]{64}$/;
/** These files build our own images, which are never pulled. */
const OURS = /^plenary\/[a-z-]+:/;

/**
 * Finds faults in the images that a file names.
 * @param text of a Dockerfile or a compose file
 */
export function imageFaults(text: string): string[] {
  return imagesOf(text)
    .filter((image) => !PINNED.test(image) && !OURS.test(image))
    .map((image) => `${image} names no digest: write NAME:TAG@sha256:…, see deploy/README.md.`);
}

/** Where a line names one: a stage's base, what a stage copies or mounts from elsewhere, BuildKit's frontend, a service's. */
const NAMES_IMAGE = [
  /^\s*FROM\s+(?:--\S+\s+)*(\S+)/i,
  /^\s*(?:COPY|ADD|RUN)\s.*--(?:mount=\S*\b)?from=([^\s,]+)/i,
  /^#\s*syntax\s*=\s*(\S+)/i,
  /^\s*(?:-\s+)?["']?image["']?:\s*["']?([^\s'"]+)/,
  /[{,]\s*["']?image["']?:\s*["']?([^\s'",}]+)/,
];

/** Every foreign image that a Dockerfile or compose file uses, with defaults filled in. */
function imagesOf(text: string): string[] {
  const lines = text.split('\n');
  const defaults = new Map<string, string>();
  const stages = new Set<string>(['scratch']);
  const images: string[] = [];
  for (const line of lines) {
    const argument = /^\s*ARG\s+(\w+)=(\S+)/i.exec(line);
    if (argument?.[1] !== undefined) defaults.set(argument[1], argument[2] ?? '');
    const found = NAMES_IMAGE.map((pattern) => pattern.exec(line)?.[1]).find((image) => image !== undefined);
    if (found !== undefined) {
      const image = found
        .replace(/\$\{\w+:?-([^}]*)\}/g, '$1')
        .replace(/\$\{?(\w+)\}?/g, (whole, name: string) => defaults.get(name) ?? whole);
      // A number may also refer to a stage.
      if (!stages.has(image) && !/^\d+$/.test(image)) images.push(image);
    }
    const stage = /^\s*FROM\s.*\sAS\s+(\S+)/i.exec(line)?.[1];
    if (stage !== undefined) stages.add(stage);
  }
  return images;
}
