import { create, type DescMessage, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import {
  DeltaDiscoveryRequestSchema,
  DiscoveryRequestSchema,
  SecretDiscoveryService,
} from '../../gen/envoy/service/secret/v3/sds_pb.ts';
import type { Consumer } from '../consumer.ts';
import { SdsService } from './sds-service.ts';

/** Any name: one that is not served is answered too. */
const NAMES = ['self-test'];

export const envoySds: Consumer = {
  name: 'envoy-sds',
  description: "Envoy's secret discovery service: secrets by name, for stock Envoy as the supervisor",
  selfTest: () => [
    call('StreamSecrets', DiscoveryRequestSchema, { resourceNames: NAMES }),
    call('DeltaSecrets', DeltaDiscoveryRequestSchema, { resourceNamesSubscribe: NAMES }),
  ],
  open: (host) => new SdsService(host),
};

function call<D extends DescMessage>(name: string, schema: D, request: MessageInitShape<D>) {
  return {
    path: `/${SecretDiscoveryService.typeName}/${name}`,
    request: toBinary(schema, create(schema, request)),
  };
}
