// @ts-check
/**
 * How mediasoup's worker is built from the source that the npm package carries, against Debian's libraries and
 * without a download. This file and its neighbours are hashed into the name of the built worker's folder: a change
 * here builds anew.
 */

/** Debian's packages that the build needs. */
export const BUILD_PACKAGES = [
  'meson',
  'ninja-build',
  'pkg-config',
  'g++',
  'libssl-dev',
  'libuv1-dev',
  'libabsl-dev',
  'libflatbuffers-dev',
  'flatbuffers-compiler',
  'dpkg-dev', // unpacks libsrtp2's source package
  'ca-certificates',
];

/**
 * In place of what each wrap file would download comes a folder of ours (in `subprojects/`), which hands out the
 * system's library. The wrap file names the directory, so that Meson finds it there and downloads nothing.
 * @type {Record<string, string>} wrap file's name → our folder
 */
export const SHIMS = {
  libuv: 'libuv',
  openssl: 'openssl',
  flatbuffers: 'flatbuffers',
  'abseil-cpp': 'abseil-cpp',
  'unordered-dense': 'unordered-dense',
  libsrtp3: 'libsrtp3',
};

/**
 * Changes to the worker's own files. Each must match exactly once, or the build stops: a newer mediasoup may have
 * changed the place or made the change needless, and somebody has to look.
 */
export const PATCHES = [
  {
    file: 'meson.build',
    why: "Debian 12's Meson is 1.0.1; the build uses nothing newer.",
    from: `meson_version: '>= 1.1.0'`,
    to: `meson_version: '>= 1.0.0'`,
  },
  {
    file: 'src/RTC/DtlsTransport.cpp',
    why:
      'The callback is called with BIO_CB_CTRL | BIO_CB_RETURN too, and answering 1 there tells an OpenSSL built with kernel ' +
      'TLS (as Debian builds it) that kernel TLS is on: it allocates no write buffer and the worker dies of SIGSEGV at its first ServerHello.',
    from: '(operationType == BIO_CB_RETURN)',
    to: '((operationType & BIO_CB_RETURN) != 0)',
  },
];

/** As mediasoup builds its own releases: optimised (-O3), without assertions. */
export const MESON_RELEASE = ['--buildtype=release', '-Db_ndebug=true'];

/**
 * Debian's own libsrtp2 uses NSS, which halves the packets a worker can forward in a second; its source with
 * OpenSSL is as fast as libsrtp 3.
 */
export const LIBSRTP_OPTIONS = [
  '--libdir=lib',
  '--default-library=static',
  '-Dcrypto-library=openssl',
  '-Dcrypto-library-kdf=disabled',
  '-Dtests=disabled',
  '-Dpcap-tests=disabled',
  '-Ddoc=disabled',
];
