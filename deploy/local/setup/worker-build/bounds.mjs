// @ts-check
/**
 * What a client's packets, reports and connections may take of a worker. As mediasoup publishes it (3.27.1) most of it has no bound,
 * and what one client takes all people on the worker lack (SPEC WK12, WK13). Each is a change to the worker's own files as in `PATCHES`.
 */

/** A client has some hundred streams at most; each packet costs a walk along all of them. */
const MAX_STREAMS = 1_000;

/** Of a client's packets each that names another SSRC made the worker keep one more stream, for as long as the transport lives. */
function boundedStreams() {
  const why =
    'libsrtp begins a stream for each SSRC that an inbound packet names, keeps it, and looks through all of them at each packet: after 24,000 ' +
    'of them, 700 KB of RTCP, each packet took 0.4 ms. The oldest go where a client names too many.';
  const failed = (/** @type {string} */ call) =>
    `"${call}() failed: %s", DepLibSRTP::GetErrorString(err).c_str());\n\n\t\t\treturn false;\n\t\t}\n`;
  const forget =
    'const auto it = std::find(this->streams.rbegin(), this->streams.rend(), ssrc);\n\n' +
    'if (it != this->streams.rend())\n{\nthis->streams.erase(std::next(it).base());\n}\n';
  const note =
    'void LimitStreams(size_t maxStreams)\n{\nthis->maxStreams = maxStreams;\n}\n\nprivate:\nvoid NoteStream(const uint8_t* field)\n{\n' +
    'uint32_t ssrc;\n\nstd::memcpy(&ssrc, field, sizeof(ssrc));\nssrc = ntohl(ssrc);\n\n' +
    'if (this->maxStreams == 0 || std::find(this->streams.begin(), this->streams.end(), ssrc) != this->streams.end())\n{\nreturn;\n}\n\n' +
    'if (this->streams.size() >= this->maxStreams)\n{\nRemoveStream(this->streams.front());\n}\n\nthis->streams.push_back(ssrc);\n}\n';
  const remove = 'srtp_stream_remove(this->session, htonl(ssrc));\n\t\t}';
  const table = (/** @type {string} */ by) =>
    `MS_DEBUG_DEV(\n\t\t\t\t  "inserting entry in ssrcTable [${by}:`;
  return [
    {
      file: 'include/RTC/SrtpSession.hpp',
      why,
      from: '#include <srtp.h>',
      to: '#include <srtp.h>\n#include <algorithm>\n#include <cstring>\n#include <iterator>\n#include <vector>',
    },
    {
      file: 'include/RTC/SrtpSession.hpp',
      why,
      from: remove,
      to: `${remove.replace('\t\t}', '')}\n${forget}}\n${note}`,
    },
    {
      file: 'include/RTC/SrtpSession.hpp',
      why,
      from: 'srtp_t session{ nullptr };',
      to: 'srtp_t session{ nullptr };\n\t\t// Those that inbound packets began, from the oldest one.\n\t\tstd::vector<uint32_t> streams;\n\t\tsize_t maxStreams{ 0 };',
    },
    {
      file: 'src/RTC/SrtpSession.cpp',
      why,
      from: failed('srtp_unprotect'),
      to: `${failed('srtp_unprotect')}\n\t\tNoteStream(data + 8);\n`,
    },
    {
      file: 'src/RTC/SrtpSession.cpp',
      why,
      from: failed('srtp_unprotect_rtcp'),
      to: `${failed('srtp_unprotect_rtcp')}\n\t\tNoteStream(data + 4);\n`,
    },
    {
      // Not of pipes, which carry the streams of a whole room.
      file: 'src/RTC/WebRtcTransport.cpp',
      why,
      from: 'RTC::SrtpSession::Type::INBOUND, srtpCryptoSuite, srtpRemoteKey, srtpRemoteKeyLen);',
      to: `RTC::SrtpSession::Type::INBOUND, srtpCryptoSuite, srtpRemoteKey, srtpRemoteKeyLen);\n\t\t\tthis->srtpRecvSession->LimitStreams(${MAX_STREAMS});`,
    },
    ...['mid', 'rid'].map((by) => ({
      file: 'src/RTC/RtpListener.cpp',
      why: 'Each SSRC with which a packet named a mid or rid was noted until its producer ended. Those beyond are told by what they name.',
      from: table(by),
      to: `if (this->ssrcTable.size() >= ${MAX_STREAMS})\n{\nreturn producer;\n}\n\n${table(by)}`,
    })),
  ];
}

/** Nobody sends longer packets: browsers stay below 1,300 bytes. */
const MAX_PACKET_BYTES = 2_000;

/** Packets of 64 KB (UDP in fragments, or TCP) would be kept by the thousand for whoever asks again, and hold 16,000 NACK items. */
function boundedPackets() {
  return ['RTP', 'RTCP'].map((kind) => {
    const ignored = `"ignoring ${kind} packet while DTLS not connected");\n\n\t\t\treturn;\n\t\t}\n`;
    return {
      file: 'src/RTC/WebRtcTransport.cpp',
      why: 'A worker keeps 2,500 packets of each stream for two seconds by the time that their sender says, 160 MB of such as are 64 KB long.',
      from: ignored,
      to: `${ignored}\n\t\tif (len > ${MAX_PACKET_BYTES})\n\t\t{\n\t\t\tMS_WARN_TAG(${kind.toLowerCase()}, "ignoring a packet that is too long [len:%zu]", len);\n\n\t\t\treturn;\n\t\t}\n`,
    };
  });
}

/** A packet costs a worker as much to pass on as some hundred bytes do, however short it is. */
const COUNTED_BYTES = 400;
/** Bytes of reports that a client may send, at once and a second: those who get 10 Mbit/s of hundred people send a tenth of it. */
const REPORTS = { atOnce: 250_000, aSecond: 125_000, countedBytes: 100 };

/** What a transport counts as received is what its client sent, as it costs: limits of media go by it (SPEC MS5). */
function countedPackets() {
  const why =
    'Whatever came from the address of a client counted as sent by it, also what anybody else wrote there and no key had sealed: so an ' +
    'honest publisher could be paused. And of 5 Mbit/s in packets of 40 bytes 15,000 a second went to each viewer.';
  const reports =
    'A viewer who reports 20 Mbit/s of packets that were lost, of which there are none, takes half of a worker’s time, and of receiver reference times all of it.';
  const received = 'RTC::Transport::DataReceived(len);';
  const ifRtcp = "// Check if it's RTCP.\n\t\tif";
  const ifStun = "// Check if it's STUN.\n\t\tif (RTC::ICE::StunPacket::IsStun(data, len))\n\t\t{\n";
  const parse = (/** @type {string} */ call) => `\n\t\tauto* packet = RTC::${call}`;
  const counts = (/** @type {number} */ bytes) =>
    `\n\t\tRTC::Transport::DataReceived(std::max<size_t>(len, ${bytes}));\n`;
  const inRtp = parse('RTP::Packet::Parse(data, len, bufferLen);');
  const inRtcp = parse('RTCP::Packet::Parse(data, len);');
  const ofDtls =
    '// Pass it to the parent transport.\n\t\tRTC::Transport::ReceiveSctpData(data, len, receivedAtUs);';
  const { atOnce, aSecond, countedBytes } = REPORTS;
  return [
    {
      file: 'src/RTC/WebRtcTransport.cpp',
      why,
      from: '#include <cmath> // std::pow()',
      to: '#include <algorithm>\n#include <cmath> // std::pow()',
    },
    {
      file: 'src/RTC/WebRtcTransport.cpp',
      why,
      from: `${received}\n\n\t\t${ifRtcp}`,
      to: `// It counts when it is known to be of the client.\n\n\t\t${ifRtcp}`,
    },
    {
      file: 'src/RTC/WebRtcTransport.cpp',
      why: 'As above. Of a transport with ports of its own, as no node makes them, STUN counts as before.',
      from: `${received}\n\n\t\t${ifStun}`,
      to: `// It counts when it is known to be of the client.\n\n\t\t${ifStun}\t\t\t${received}\n\n`,
    },
    { file: 'src/RTC/WebRtcTransport.cpp', why, from: inRtp, to: counts(COUNTED_BYTES) + inRtp },
    {
      file: 'src/RTC/WebRtcTransport.cpp',
      why: 'What came in DTLS records would count for nobody.',
      from: ofDtls,
      to: `${counts(COUNTED_BYTES).trim()}\n\n\t\t${ofDtls}`,
    },
    {
      file: 'include/RTC/WebRtcTransport.hpp',
      why: reports,
      from: 'bool connectCalled{ false };',
      to: `bool connectCalled{ false };\n\t\tdouble reportBytesLeft{ ${atOnce} };\n\t\tint64_t reportsCountedAtMs{ 0 };`,
    },
    {
      file: 'src/RTC/WebRtcTransport.cpp',
      why: reports,
      from: inRtcp,
      to:
        `${counts(countedBytes)}\n\t\tconst int64_t nowMs = this->shared->GetTimeMs();\n\t\tconst auto counted = static_cast<double>(std::max<size_t>(len, ${countedBytes}));\n\n` +
        `\t\tthis->reportBytesLeft = std::min(${atOnce}., this->reportBytesLeft + (${aSecond / 1_000} * static_cast<double>(nowMs - this->reportsCountedAtMs)));\n` +
        '\t\tthis->reportsCountedAtMs = nowMs;\n\n' +
        `\t\tif (this->reportBytesLeft < counted)\n\t\t{\n\t\t\treturn;\n\t\t}\n\n\t\tthis->reportBytesLeft -= counted;\n${inRtcp}`,
    },
  ];
}

/** Of one TCP connection, what waits to be read: as with UDP, what comes beyond is lost. */
const MAX_UNREAD_BYTES = 1_048_576;
/** Connections to a port to which nothing was sent yet, since they did not name a transport; and for how long one may be such. */
const MAX_UNPROVEN = 1_000;
const UNPROVEN_MS = 10_000;

function boundedTcp() {
  const unread =
    'A client that receives by TCP and does not read made the worker keep all that it was sent; and of one that was closed the socket and all of it, for as long as the client wished.';
  const unproven =
    'Whoever reaches the port could open connections without end and name no transport: a descriptor and up to 64 KB each.';
  const send = '// Write according to Framing RFC 4571.\n';
  const close = 'if (!this->hasError && !this->isClosedByPeer)';
  const store = 'this->connections.insert(connection);';
  const erase = 'this->connections.erase(connection);';
  const answer = '// Send the STUN response over the same transport tuple.\n';
  return [
    {
      file: 'src/RTC/WebRtcTransport.cpp',
      why: 'What was sent something counts as proven: whoever knew the name of a transport opened connections without end by wrong passwords.',
      from: answer,
      to:
        'if (tuple->GetProtocol() == RTC::TransportTuple::Protocol::TCP && packet->GetClass() == RTC::ICE::StunPacket::Class::ERROR_RESPONSE && !this->iceServer->IsValidTuple(tuple))\n' +
        `\t\t{\n\t\t\treturn;\n\t\t}\n\n\t\t${answer}`,
    },
    {
      file: 'src/RTC/TcpConnection.cpp',
      why: unread,
      from: send,
      to:
        `if (!IsClosed() && uv_stream_get_write_queue_size(reinterpret_cast<uv_stream_t*>(GetUvHandle())) > ${MAX_UNREAD_BYTES})\n` +
        `{\nif (cb)\n{\n(*cb)(false);\ndelete cb;\n}\n\nreturn;\n}\n\n${send}`,
    },
    {
      file: 'src/handles/TcpConnectionHandle.cpp',
      why: unread,
      from: close,
      to: close.replace(
        ')',
        ' && uv_stream_get_write_queue_size(reinterpret_cast<uv_stream_t*>(this->uvHandle)) == 0)',
      ),
    },
    {
      file: 'include/handles/TcpServerHandle.hpp',
      why: unproven,
      from: '#include <string>',
      to: '#include <deque>\n#include <string>\n#include <utility>',
    },
    {
      file: 'include/handles/TcpServerHandle.hpp',
      why: unproven,
      from: 'bool closed{ false };',
      to: 'bool closed{ false };\n\t// From the oldest one, with when it was accepted; also such as were sent something meanwhile.\n\tstd::deque<std::pair<TcpConnectionHandle*, uint64_t>> unproven;',
    },
    {
      file: 'src/handles/TcpServerHandle.cpp',
      why: unproven,
      from: store,
      to:
        `${store}\n\tthis->unproven.emplace_back(connection, uv_now(this->uvHandle->loop));\n\n` +
        '\twhile (!this->unproven.empty())\n\t{\n\t\tconst auto [oldest, acceptedAtMs] = this->unproven.front();\n\n' +
        '\t\tif (oldest->GetSentBytes() > 0)\n\t\t{\n\t\t\tthis->unproven.pop_front();\n\n\t\t\tcontinue;\n\t\t}\n\n' +
        `\t\tif (this->unproven.size() <= ${MAX_UNPROVEN} && uv_now(this->uvHandle->loop) - acceptedAtMs < ${UNPROVEN_MS})\n\t\t{\n\t\t\tbreak;\n\t\t}\n\n` +
        '\t\tthis->unproven.pop_front();\n\t\toldest->TriggerClose();\n\t}',
    },
    {
      file: 'src/handles/TcpServerHandle.cpp',
      why: unproven,
      from: erase,
      to:
        `${erase}\n\n\tfor (auto it = this->unproven.begin(); it != this->unproven.end(); ++it)\n\t{\n\t\tif (it->first == connection)\n\t\t{\n` +
        '\t\t\tthis->unproven.erase(it);\n\n\t\t\tbreak;\n\t\t}\n\t}',
    },
  ];
}

/** Of one kind about one consumer, at once and a second. */
const NOTIFICATIONS = { atOnce: 20, aSecond: 5 };

/** What a worker tells the process above it goes through one thread, which serves all of the node's workers. */
function boundedNotifications() {
  const why =
    'With two packets in turn (of another temporal layer, another loss, another orientation, or from another port) a client made the worker ' +
    'tell the process above it something at each packet, of each viewer: 200 viewers of 100 packets a second fill its thread, and the node is lost.';
  const { atOnce, aSecond } = NOTIFICATIONS;
  const budget =
    `\n\t\tstruct NotificationBudget\n\t\t{\n\t\t\tdouble left{ ${atOnce} };\n\t\t\tint64_t countedAtMs{ 0 };\n\t\t\tbool isMissed{ false };\n\n` +
    '\t\t\tbool Take(int64_t nowMs)\n\t\t\t{\n' +
    `\t\t\t\tthis->left = std::min(${atOnce}., this->left + (${aSecond / 1_000} * static_cast<double>(nowMs - this->countedAtMs)));\n` +
    '\t\t\t\tthis->countedAtMs = nowMs;\n\t\t\t\tthis->isMissed    = this->left < 1;\n\t\t\t\tthis->left -= this->isMissed ? 0 : 1;\n\n' +
    '\t\t\t\treturn !this->isMissed;\n\t\t\t}\n\t\t};\n\n' +
    '\t\tmutable NotificationBudget scoreNotifications;\n\t\tmutable NotificationBudget layersNotifications;';
  const unless = (/** @type {string} */ name) =>
    `if (!this->${name}.Take(this->shared->GetTimeMs()))\n\t\t{\n\t\t\treturn;\n\t\t}\n\n\t\t`;
  const scoreOfPipe =
    '// Pipe consumers never emit score events: score is always a constant 10/10.\n\t\tif (this->pipe)\n\t\t{\n\t\t\treturn;\n\t\t}\n\n\t\t';
  const layers = 'flatbuffers::Offset<FBS::Consumer::ConsumerLayers> layersOffset;';
  const inRounds = '// Special condition for pipe consumer since this method will be called in a';
  const lastRtcp = 'int64_t lastRtcpSentAtUs{ 0 };';
  const scores = 'std::vector<flatbuffers::Offset<FBS::Producer::Score>> scores;';
  const tuple = 'MS_DEBUG_TAG(ice, "ICE selected tuple");';
  const seldom = (/** @type {string} */ name, /** @type {number} */ ms) =>
    `const int64_t nowMs = this->shared->GetTimeMs();\n\n\t\tif (nowMs - this->${name} < ${ms})\n\t\t{\n\t\t\treturn;\n\t\t}\n\n\t\tthis->${name} = nowMs;\n\n\t\t`;
  return [
    {
      file: 'include/RTC/Consumer.hpp',
      why,
      from: '#include <bitset>',
      to: '#include <algorithm>\n#include <bitset>',
    },
    { file: 'include/RTC/Consumer.hpp', why, from: lastRtcp, to: lastRtcp + budget },
    { file: 'src/RTC/Consumer.cpp', why, from: scoreOfPipe, to: scoreOfPipe + unless('scoreNotifications') },
    { file: 'src/RTC/Consumer.cpp', why, from: layers, to: unless('layersNotifications') + layers },
    {
      // What was not told is told with the next reports, a second later at most.
      file: 'src/RTC/Consumer.cpp',
      why,
      from: inRounds,
      to:
        'if (this->scoreNotifications.isMissed)\n\t\t{\n\t\t\tEmitScore();\n\t\t}\n\n' +
        `\t\tif (this->layersNotifications.isMissed)\n\t\t{\n\t\t\tEmitLayersChange();\n\t\t}\n\n\t\t${inRounds}`,
    },
    // Nobody here goes by these: one in a while will do.
    {
      file: 'include/RTC/Producer.hpp',
      why,
      from: lastRtcp,
      to: `${lastRtcp}\n\t\tmutable int64_t scoreToldAtMs{ -1000 };`,
    },
    { file: 'src/RTC/Producer.cpp', why, from: scores, to: seldom('scoreToldAtMs', 1_000) + scores },
    {
      file: 'src/RTC/Producer.cpp',
      why,
      from: 'packet->ReadVideoOrientation(camera, flip, rotation)',
      to: 'false && packet->ReadVideoOrientation(camera, flip, rotation)',
    },
    {
      file: 'include/RTC/WebRtcTransport.hpp',
      why,
      from: 'bool connectCalled{ false };',
      to: 'bool connectCalled{ false };\n\t\tint64_t tupleToldAtMs{ -1000 };',
    },
    { file: 'src/RTC/WebRtcTransport.cpp', why, from: tuple, to: seldom('tupleToldAtMs', 100) + tuple },
  ];
}

/** Statuses of packets that a client may report, at once and a second: a viewer gets some thousand packets a second. */
const STATUSES = { atOnce: 20_000, aSecond: 10_000 };
/** A score is worked out anew so seldom, in microseconds. */
const SCORE_EVERY_US = 200_000;

/** Work that a client's reports make. */
function boundedReports() {
  const { atOnce, aSecond } = STATUSES;
  const statuses =
    'A report of transport-cc of 44 bytes may tell of 65,535 packets, each of which is looked for: 5 ms of the worker for each report, so that ' +
    'one viewer with 70 kbit/s took all of its time.';
  const scores =
    'A score that changes has the layers of all viewers chosen anew, and changed with every sender report if its sender wished: 170 kbit/s took all ' +
    'of the time of a worker with 200 viewers.';
  const expected = 'const size_t expectedPackets = feedback->GetPacketStatusCount();';
  const loss = 'double packetLoss{ 0 };';
  const score = (
    /** @type {string} */ name,
    /** @type {string} */ member,
    /** @type {string} */ comment,
    /** @type {string} */ call,
  ) => [
    {
      file: `include/RTC/RTP/${name}.hpp`,
      why: scores,
      from: `${member};`,
      to: `${member};\n\t\t\tint64_t scoreUpdatedAtUs{ 0 };`,
    },
    {
      file: `src/RTC/RTP/${name}.cpp`,
      why: scores,
      from: `${comment}\n\t\t\t${call}`,
      to:
        `${comment}\n\t\t\tif (receivedAtUs - this->scoreUpdatedAtUs >= ${SCORE_EVERY_US})\n\t\t\t{\n` +
        `\t\t\t\tthis->scoreUpdatedAtUs = receivedAtUs;\n\t\t\t\t${call}\n\t\t\t}`,
    },
  ];
  return [
    {
      file: 'include/RTC/TransportCongestionControlClient.hpp',
      why: statuses,
      from: loss,
      to: `${loss}\n\t\tdouble statusesLeft{ ${atOnce} };\n\t\tint64_t statusesCountedAtMs{ 0 };`,
    },
    {
      file: 'src/RTC/TransportCongestionControlClient.cpp',
      why: statuses,
      from: expected,
      to:
        `${expected}\n\t\tconst int64_t nowMs = this->shared->GetTimeMs();\n\n` +
        `\t\tthis->statusesLeft = std::min(${atOnce}., this->statusesLeft + (${aSecond / 1_000} * static_cast<double>(nowMs - this->statusesCountedAtMs)));\n` +
        '\t\tthis->statusesCountedAtMs = nowMs;\n\n' +
        '\t\tif (this->statusesLeft < static_cast<double>(expectedPackets))\n\t\t{\n\t\t\treturn;\n\t\t}\n\n' +
        '\t\tthis->statusesLeft -= static_cast<double>(expectedPackets);\n',
    },
    ...score(
      'RtpStreamRecv',
      'std::optional<SenderReportTiming> lastSenderReportTiming',
      '// Update the score with the current RR.',
      'UpdateScore();',
    ),
    ...score(
      'RtpStreamSend',
      'std::optional<ReceiverReferenceTime> lastReceiverReferenceTime',
      '// Update the score with the received RR.',
      'UpdateScore(report);',
    ),
    {
      file: 'deps/libwebrtc/libwebrtc/modules/congestion_controller/goog_cc/goog_cc_network_control.cc',
      why: 'Each REMB of a client that has no transport-cc was told to the process above the worker as an error.',
      from: 'MS_ERROR("Received REMB for packet feedback only GoogCC");',
      to: '// What REMB says is not gone by.',
    },
  ];
}

export const BOUNDS = [
  ...boundedStreams(),
  ...boundedPackets(),
  ...countedPackets(),
  ...boundedTcp(),
  ...boundedNotifications(),
  ...boundedReports(),
  {
    file: 'deps/libwebrtc/libwebrtc/modules/remote_bitrate_estimator/remote_bitrate_estimator_abs_send_time.cc',
    why:
      'The SSRCs of the last two seconds, of whatever packets, are looked through at each packet and written into one REMB, whose buffer ' +
      'holds 16,000: what is beyond is written over other memory. A REMB counts them in one byte.',
    from: 'ssrcs_[ssrc] = now_ms;',
    to: 'if (ssrcs_.size() < 100 || ssrcs_.count(ssrc) != 0)\n    {\n      ssrcs_[ssrc] = now_ms;\n    }',
  },
  {
    file: 'src/RTC/DtlsTransport.cpp',
    why:
      'Of a datagram with several records of application data one is read, and the rest stayed in memory behind those of all earlier ' +
      'datagrams, without a bound. What a datagram left is dropped.',
    from: '// Write the received DTLS data into the sslBioFromNetwork.',
    to: '(void)BIO_reset(this->sslBioFromNetwork);\n\n\t\t// Write the received DTLS data into the sslBioFromNetwork.',
  },
  {
    file: 'src/RTC/DtlsTransport.cpp',
    why: 'Whoever has the server’s part of DTLS can ask for a whole new handshake with each small packet; no browser does.',
    from: 'SSL_OP_NO_QUERY_MTU);',
    to: 'SSL_OP_NO_QUERY_MTU | SSL_OP_NO_RENEGOTIATION);',
  },
  {
    file: 'src/RTC/Consumer.cpp',
    why:
      'What one viewer says that it lost of a voice is told to the speaker as lost on its own way, and browsers then send worse pictures: one ' +
      'viewer who lies spoils them for all. It counts as a tenth at most, against which Opus protects and for which no browser slows down.',
    from: 'worstRemoteFractionLost = std::max(fractionLost, worstRemoteFractionLost);',
    to: 'worstRemoteFractionLost = std::max(std::min<uint8_t>(fractionLost, 25), worstRemoteFractionLost);',
  },
];
