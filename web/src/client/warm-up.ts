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

/** What can be made before any edge was spoken to, and is then the same for every transport of this page. */
export interface WarmMedia {
  readonly device: Device;
  /** With its fingerprint in `dtls`; both absent where the browser cannot tell a certificate's fingerprint. */
  readonly certificate: RTCCertificate | undefined;
  readonly dtls: DtlsParameters | undefined;
  readonly trial: ConsumerTrial;
}

/** Makes the mediasoup device, which the browser's engine decides on. Tests hand in another one. */
export type CreateDevice = () => Promise<Device>;

/**
 * Loads the device with the cluster's constant capabilities and makes the DTLS certificate, so that the join can
 * carry both and the edge's transports are connected at once.
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
    // Firefox has certificates but no getFingerprints: it then sends `transport.connect` as everybody once did.
    if (typeof certificate.getFingerprints !== 'function') return none;
    const dtls = DTLS_PARAMETERS.parse({
      // mediasoup-client is the DTLS client in both directions unless the edge forces the other role.
      role: 'client',
      fingerprints: certificate.getFingerprints().map(({ algorithm: hash, value }) => ({
        algorithm: hash,
        // The worker compares with upper-case text; some browsers give lower case here.
        value: value?.toUpperCase(),
      })),
    });
    return { certificate, dtls };
  } catch (thrown) {
    log.warn('no certificate beforehand; joining takes one round trip more', thrown);
    return none;
  }
}
