import {
  DTLS_PARAMETERS,
  ROUTER_RTP_CAPABILITIES,
  RTP_CAPABILITIES,
  type DtlsParameters,
  type MediaRequest,
} from '@plenary/cluster/protocol';
import { Device } from 'mediasoup-client';
import { ConsumerTrial } from './consumer-trial.ts';
import type { ClientLog } from './counters.ts';
import { toClientCapabilities } from './to-mediasoup.ts';

/** Objects that are created before the first request to an edge, and shared by all transports of the page. */
export interface WarmMedia {
  readonly device: Device;
  /** Its fingerprint is in `dtls`. Both are absent when the browser cannot read a certificate's fingerprint. */
  readonly certificate: RTCCertificate | undefined;
  readonly dtls: DtlsParameters | undefined;
  readonly trial: ConsumerTrial;
}

/** Creates the mediasoup device for this browser. Tests pass their own. */
export type CreateDevice = () => Promise<Device>;

/**
 * Loads the device with the cluster's constant capabilities and creates the DTLS certificate. The join carries both, so that the
 * media node can connect its transports at once.
 */
export async function warmUp(createDevice: CreateDevice | undefined, log: ClientLog): Promise<WarmMedia> {
  const [device, identity] = await Promise.all([loadDevice(createDevice), makeIdentity(log)]);
  return { device, ...identity, trial: new ConsumerTrial(device) };
}

/** The media part of a join or a `media.open`. */
export function mediaRequest(warm: WarmMedia, publish: boolean): MediaRequest {
  return {
    rtpCapabilities: RTP_CAPABILITIES.parse(warm.device.recvRtpCapabilities),
    publish,
    ...(warm.dtls === undefined
      ? {}
      : { dtls: { receive: warm.dtls, ...(publish ? { send: warm.dtls } : {}) } }),
  };
}

async function loadDevice(createDevice: CreateDevice = () => Device.factory()): Promise<Device> {
  const device = await createDevice();
  if (!device.loaded) {
    await device.load({ routerRtpCapabilities: toClientCapabilities(ROUTER_RTP_CAPABILITIES) });
  }
  return device;
}

async function makeIdentity(log: ClientLog): Promise<Pick<WarmMedia, 'certificate' | 'dtls'>> {
  const none = { certificate: undefined, dtls: undefined };
  if (typeof RTCPeerConnection === 'undefined' || !('generateCertificate' in RTCPeerConnection)) return none;
  try {
    const algorithm: EcKeyGenParams = { name: 'ECDSA', namedCurve: 'P-256' };
    const certificate = await RTCPeerConnection.generateCertificate(algorithm);
    // Firefox has certificates but no getFingerprints: it sends `transport.connect` later instead.
    if (typeof certificate.getFingerprints !== 'function') return none;
    const dtls = DTLS_PARAMETERS.parse({
      // mediasoup-client is the DTLS client in both directions unless the edge forces the other role.
      role: 'client',
      fingerprints: certificate.getFingerprints().map(({ algorithm: hash, value }) => ({
        algorithm: hash,
        // The worker compares upper-case text, but some browsers return lower case.
        value: value?.toUpperCase(),
      })),
    });
    return { certificate, dtls };
  } catch (thrown) {
    log.warn('no certificate could be created ahead; the join takes one more round trip', thrown);
    return none;
  }
}
