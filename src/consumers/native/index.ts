import { create, toBinary } from '@bufbuild/protobuf';
import {
  CredentialResolver,
  WatchProviderEnvironmentRequestSchema,
} from '../../gen/secretresolver/v1/resolver_pb.ts';
import type { Consumer } from '../consumer.ts';
import { ResolverService } from './service.ts';

const SUBSCRIBE = create(WatchProviderEnvironmentRequestSchema, {
  message: { case: 'subscribe', value: {} },
});

/** The resolver's own wire: environment, watch with acknowledgements, list, status. */
export const native: Consumer = {
  name: 'native',
  description: "the resolver's own calls: snapshots, watches with acknowledgements, list and status",
  selfTest: () =>
    CredentialResolver.methods.map((method) => ({
      path: `/${CredentialResolver.typeName}/${method.name}`,
      request:
        method === CredentialResolver.method.watchProviderEnvironment
          ? toBinary(WatchProviderEnvironmentRequestSchema, SUBSCRIBE)
          : new Uint8Array(0),
    })),
  open: (host) => new ResolverService(host),
};
