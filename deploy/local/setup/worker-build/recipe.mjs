// @ts-check
/**
 * How mediasoup's worker is built from the source that the npm package carries, against Debian's libraries and
 * without a download. This file and its neighbours are hashed into the name of the built worker's folder: a change
 * here builds anew.
 */

import { BOUNDS } from './bounds.mjs';

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
  {
    file: 'include/RTC/RTP/Packet.hpp',
    why:
      'A header extension of two bytes may be empty. The worker copies it into the form of one byte, where that throws, and nothing ' +
      'catches it: one packet of a participant ends the worker by SIGABRT (3.27.1). An empty one now counts as none.',
    from: 'len = extension->len;',
    to: 'len = extension->len;\n\n\t\t\t\t\tif (len == 0)\n\t\t\t\t\t{\n\t\t\t\t\t\treturn nullptr;\n\t\t\t\t\t}',
  },
  {
    file: 'src/RTC/Producer.cpp',
    why:
      'An encoding may have an SSRC and a rid. A packet with the rid and another SSRC begins its stream; the first one with the SSRC then ' +
      'began it once more, and an assertion ends the worker: two packets of a participant (3.27.1).',
    from: 'if (isMediaPacket && encoding.ssrc == ssrc)',
    to: 'if (isMediaPacket && encoding.ssrc == ssrc && !this->rtpStreamByEncodingIdx[i])',
  },
  ...BOUNDS,
  ...catching(
    'src/RTC/UdpSocket.cpp',
    'this->listener->OnUdpSocketPacketReceived(this, data, len, bufferLen, addr, receivedAtUs);',
  ),
  ...catching(
    'src/RTC/TcpConnection.cpp',
    'this->listener->OnTcpConnectionPacketReceived(\n\t\t\t\t\t  this, ReadBuffer, packetLen, ReadBufferSize, receivedAtUs);',
  ),
];

/**
 * What a packet of somebody throws costs that packet, whatever it is: nothing above catches it, and it would end the worker.
 * @param {string} file
 * @param {string} call
 */
function catching(file, call) {
  const why =
    'A fault in one packet of a client is to cost that packet, and not the worker with everybody on it.';
  const header = file.replace('src/', '').replace('.cpp', '.hpp');
  return [
    {
      file,
      why,
      from: `#include "${header}"`,
      to: `#include "${header}"\n#include "MediaSoupErrors.hpp"`,
    },
    {
      file,
      why,
      from: call,
      to:
        `try\n{\n${call}\n}\ncatch (const MediaSoupError&)\n{\n// It was logged when it was thrown.\n}\n` +
        'catch (const std::exception& error)\n{\nMS_ERROR("a packet was dropped: %s", error.what());\n}',
    },
  ];
}

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
