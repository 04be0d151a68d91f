// @ts-check
/**
 * The bytes that the setup takes: one figure for each file of each platform. What is downloaded is compared with these
 * before it is unpacked or run. Who raises a version in versions.mjs or package.json changes the figures here, in one
 * commit. Where a platform has no figure, the setup does not take the file and says so.
 */

/**
 * Node, from the npm registry: SHA-256 of the archive of the package `node-<platform>-<arch>`, by version. There is none
 * for macOS: nobody publishes this version's package for it.
 * @type {Record<string, Record<string, string>>}
 */
export const NODE_ARCHIVES = {
  '24.21.0': {
    'linux-x64': '61ecf27ad70afee991b671c28561eb497028294a67d132f9bbaac9ad73f81d3b',
    'linux-arm64': 'fba3076c16d21e5d814577436bdcb782b9b66bed09c6fa8278298e8933288bbb',
  },
};

/**
 * mediasoup's prebuilt worker, from its GitHub releases: SHA-256 by the archive's name. GitHub shows it beside each file
 * of https://github.com/versatica/mediasoup/releases. A figure is entered by somebody who has read it there and compared
 * it with what they downloaded; until then the worker is built from the npm package, which the lockfile pins. One of a version that
 * `PATCHES` mends (SPEC WK11) is not to be entered: it has none of them.
 * @type {Record<string, string>}
 */
export const WORKER_ARCHIVES = {};

/**
 * Debian packages that are unpacked and not installed, and sources that are built: SHA-256 by file name, from the
 * `Packages` and `Sources` of a signed `InRelease`. apt compares every file with the signed index by itself. These
 * figures hold the bytes for the versions that we have seen; a later one, of a security update, has apt's word alone.
 * @type {Record<string, string>}
 */
export const DEBIAN_FILES = {
  // trixie: the glibc for Node
  'libc6_2.41-12+deb13u5_amd64.deb': 'b59b0625cd1a791375d40dab23a4d5d3d0641e3d0a773501becdc3725b7f99cf',
  'libc6_2.41-12+deb13u5_arm64.deb': '0966fc3da1a26cc57647c68b5736f791b6e7eb498173a7993f63b6c89b4ed4f5',
  // bullseye: Consul
  'consul_1.8.7+dfsg1-2+b3_amd64.deb': 'e4e888bba104daba1d9161f49bfc52649a7e4efd45b1a7ead5bc54f2cb9c89d9',
  'consul_1.8.7+dfsg1-2+b3_arm64.deb': '7318cfa77a7ba6f71dd096e44353279de246ffc6561216ace42353685dcf8255',
  // bookworm-backports and trixie: Go, to build k6
  'golang-1.23-go_1.23.5-1~bpo12+1_amd64.deb':
    '9469e6c2b37fed52b9dea80e5c614a5392790cfac99de4ca6242857a039097ee',
  'golang-1.23-go_1.23.5-1~bpo12+1_arm64.deb':
    'bfa2209d472b230257482150ce6c54f5bd48fdc51c247e1d740bf14551552756',
  'golang-1.23-src_1.23.5-1~bpo12+1_all.deb':
    'c425bc2e0bdd215e66c963072ceab22d93694a206a04e5a9a252bfc081dbac7b',
  'golang-1.24-go_1.24.4-1_amd64.deb': '93c6c109bbc0f1d55523282a16739d10634499c04f6d066a6aa58b67b687a44f',
  'golang-1.24-go_1.24.4-1_arm64.deb': '9e32c37ae41e78fe976eaa4a406dfba929d5020b9e3006ee3f0e0ff2638a5ac6',
  'golang-1.24-src_1.24.4-1_all.deb': 'c396bc2c2e94606e0a060cff52b9bbbf1d7cefacb040eb3c40a55604111e66e1',
  // bookworm and trixie: the source of libsrtp, for the worker
  'libsrtp2_2.5.0-3.dsc': '3b77c17dc1cf3135fbdaaf4cb0c5f4ae69793dd4cea63b9e466286e7687c861e',
  'libsrtp2_2.5.0.orig.tar.gz': '8a43ef8e9ae2b665292591af62aa1a4ae41e468b6d98d8258f91478735da4e09',
  'libsrtp2_2.5.0-3.debian.tar.xz': '3a3cafa12033d32cd0d5ad4d78f102bc6d998f7d67a17f262c436d0734865af4',
  'libsrtp2_2.7.0-3.dsc': 'ef1870dd0dd166693b6bc76d22ef39a732234bbcb563e94abdf87910746c5c85',
  'libsrtp2_2.7.0.orig.tar.gz': '54facb1727a557c2a76b91194dcb2d0a453aaf8e2d0cbbf1e3c2848c323e28ad',
  'libsrtp2_2.7.0-3.debian.tar.xz': '032691aaabe81439859009df4f1d6b7fbf289064011fe6e613b7ba808de5d6f4',
};

/**
 * k6: Go's hash of the module's files (`go mod download -json`), by version. The module's own go.sum, which this hash
 * covers, holds the hash of everything that it is built from. One figure for all platforms: it is source. The Go toolchain
 * that k6 asks for is fetched by Go itself, which takes none that the signed checksum database (sum.golang.org) does not hold.
 * @type {Record<string, string>}
 */
export const K6_MODULES = { '1.8.1': 'h1:orZsbZ2Od0CVZICs9YpTgkKcxfPghJW8VZtwg0cj8H8=' };

/**
 * The binaries of uWebSockets.js that Node 24 (137) and 25 (141) load: SHA-256, by version and file. Computed from the npm
 * package that republishes them; `node deploy/local/compare-uws.mjs` compares them with the author's own release.
 * @type {Record<string, Record<string, string>>}
 */
export const UWS_BINARIES = {
  '20.57.0': {
    'uws_linux_x64_137.node': '98128405dba2fb608448e921a979530f70c946a2cc9889c15f2fa70c2d00ab05',
    'uws_linux_x64_141.node': '813d788b347c6fd76b779d8932311ec05a044e612b4b83af220f16e6ea789683',
    'uws_linux_arm64_137.node': '88618b30ddf6b2b62310db89f40a701616676352aac5e0f6184dd8ef876199ce',
    'uws_linux_arm64_141.node': '81d0186dd1549ed6a7f47e68e323573fc27d69d2920527654ce2dd993af2b0ec',
    'uws_darwin_x64_137.node': '98fd7e9456e2d37d3262b05b053d673830927f91c63c0c2ae73bde8d19eef293',
    'uws_darwin_x64_141.node': 'e64e8a42347b5f9861b0f2bfa0981d8e48914e9b26ec73e133ba454d9a580777',
    'uws_darwin_arm64_137.node': '2187391c702fa7ad3bf685eff7712c15cf24fa7cf324a131dfcbae3fd0f20a9a',
    'uws_darwin_arm64_141.node': '8555586f69116620ac17540b2a7a2459c5db1cebee5c36fd77157dd352fabf82',
  },
};
