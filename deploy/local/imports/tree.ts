/** The imports of a tree, by folder. */
import { dirname } from 'node:path/posix';

/** A file and the files of ours that it imports, as paths from the root. */
export interface ImportingFile {
  readonly path: string;
  readonly imports: readonly string[];
}

interface Folder {
  readonly path: string;
  readonly files: number;
  /** How many imports go to each other folder. */
  readonly to: ReadonlyMap<string, number>;
}

const packageOf = (path: string): string => path.split('/')[0] ?? path;

/** Folders in alphabetical order, each with what its files import from others. */
export function foldersOf(files: readonly ImportingFile[]): Folder[] {
  const byFolder = Map.groupBy(files, ({ path }) => dirname(path));
  return [...byFolder]
    .map(([path, members]) => {
      const to = new Map<string, number>();
      for (const target of members.flatMap(({ imports }) => imports.map((imported) => dirname(imported))))
        if (target !== path) to.set(target, (to.get(target) ?? 0) + 1);
      return { path, files: members.length, to };
    })
    .sort((one, other) => (one.path < other.path ? -1 : 1));
}

/** A line for each folder: how many files it has, and from where they import how much; other packages count as one each. */
export function treeLines(folders: readonly Folder[]): string[] {
  return folders.map(({ path, files, to }) => {
    const named = new Map<string, number>();
    for (const [target, count] of to) {
      const isOwn = packageOf(target) === packageOf(path);
      const name = isOwn ? target.slice(packageOf(target).length + 1) : `@plenary/${packageOf(target)}`;
      named.set(name, (named.get(name) ?? 0) + count);
    }
    const targets = [...named]
      .sort(([, one], [, other]) => other - one)
      .map(([name, count]) => `${name} ${count}`);
    return `${path} (${files})${targets.length === 0 ? '' : ` → ${targets.join(', ')}`}`;
  });
}

/** Pairs of folders that import each other. Their files need not: it says that the folders cannot be read one after the other. */
export function mutualFolders(folders: readonly Folder[]): string[] {
  const byPath = new Map(folders.map((folder) => [folder.path, folder]));
  return folders.flatMap(({ path, to }) =>
    [...to].flatMap(([target, there]) => {
      const back = byPath.get(target)?.to.get(path);
      return back === undefined || target < path ? [] : [`${path} ⇄ ${target} (${there} and ${back})`];
    }),
  );
}
