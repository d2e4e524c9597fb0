import { SecretDiscoveryService } from '../../gen/envoy/service/secret/v3/sds_pb.ts';
import type { Consumer } from '../consumer.ts';
import { attempt } from '../self-test.ts';
import { SdsService } from './sds-service.ts';

/** Any name: one that is not served is answered too. */
const NAMES = ['self-test'];
const { streamSecrets, deltaSecrets } = SecretDiscoveryService.method;

export const envoySds: Consumer = {
  name: 'envoy-sds',
  description: "Envoy's secret discovery service: secrets by name, for stock Envoy as the supervisor",
  // Istio's agent, for one, serves the same on a socket of its own.
  selfTest: () =>
    [
      attempt(streamSecrets, { resourceNames: NAMES }),
      attempt(deltaSecrets, { resourceNamesSubscribe: NAMES }),
    ].map((call) => ({ ...call, ours: false })),
  open: (host) => new SdsService(host),
};
