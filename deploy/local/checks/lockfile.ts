interface LockfileEntry {
  readonly resolved?: string;
  readonly integrity?: string;
  readonly version?: string;
  readonly link?: boolean;
}

const PUBLIC_REGISTRY = 'https://registry.npmjs.org/';
/** The one package that its author only publishes elsewhere (docs/adr/0005); the lockfile contains its hash like any other's. */
const AUTHORS_UWS = 'https://github.com/uNetworking/uWebSockets.js/archive/refs/tags/v';

/**
 * Finds faults in a lockfile: a package from outside the public registry would not install elsewhere (or would
 * reveal a private host), and one without a hash could be replaced.
 * @param text of package-lock.json
 */
export function lockfileFaults(text: string): string[] {
  const { packages = {} } = JSON.parse(text) as { packages?: Record<string, LockfileEntry> };
  return Object.entries(packages).flatMap(([path, entry]) => {
    if (!path.includes('node_modules/') || entry.link === true) return [];
    const faults: string[] = [];
    const known = entry.resolved?.startsWith(
      path === 'node_modules/uWebSockets.js' ? AUTHORS_UWS : PUBLIC_REGISTRY,
    );
    if (entry.resolved !== undefined && known !== true && !entry.resolved.startsWith(PUBLIC_REGISTRY)) {
      faults.push(
        `${path} comes from ${entry.resolved}. Run \`npm install --omit-lockfile-registry-resolved\` or take it from the public registry.`,
      );
    }
    if (entry.integrity === undefined) {
      faults.push(`${path} has no integrity hash. Remove it from package-lock.json and run \`npm install\`.`);
    }
    return faults;
  });
}

/**
 * Dependencies that are a range instead of one version: two installs on two days would differ.
 * @param text of a package.json
 */
export function inexactDependencies(text: string): string[] {
  const manifest = JSON.parse(text) as Record<string, Record<string, string> | undefined>;
  return ['dependencies', 'devDependencies', 'optionalDependencies'].flatMap((group) =>
    Object.entries(manifest[group] ?? {})
      .filter(([name, version]) => !(name === 'uWebSockets.js' && version.startsWith(AUTHORS_UWS)))
      .filter(([, version]) => !/^(npm:[^@]*(@[^@/]+\/[^@]+)?@)?\d+\.\d+\.\d+(-[\w.]+)?$/.test(version))
      .map(([name, version]) => `${name} is \`${version}\` in ${group}: write one exact version.`),
  );
}
