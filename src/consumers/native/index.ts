import { CredentialResolver } from '../../gen/secretresolver/v1/resolver_pb.ts';
import type { Consumer } from '../consumer.ts';
import { attempt } from '../self-test.ts';
import { ResolverService } from './service.ts';

const { watchProviderEnvironment: watch } = CredentialResolver.method;

/** The resolver's own wire: environment, watch with acknowledgements, list, status. */
export const native: Consumer = {
  name: 'native',
  description: "the resolver's own calls: snapshots, watches with acknowledgements, list and status",
  selfTest: () =>
    CredentialResolver.methods.map((method) =>
      method === watch ? attempt(watch, { message: { case: 'subscribe', value: {} } }) : attempt(method),
    ),
  open: (host) => new ResolverService(host),
};
