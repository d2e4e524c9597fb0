/** `/openshell.v1.OpenShell/GetSandboxProviderEnvironment` on the same socket, so that a supervisor needs only a dial. */
import { fromBinary } from '@bufbuild/protobuf';
import { GetSandboxProviderEnvironmentRequestSchema } from '../../gen/openshell/v1/openshell_pb.ts';
import {
  type Calls,
  parse,
  type RawImplementation,
  type RawMethod,
  rawMethod,
  refuse,
} from '../../socket/calls.ts';
import { type ResolverService, refuseIfRequiredIsMissing } from '../native/service.ts';
import type { OpenShellViews } from './openshell-views.ts';

const OPERATION = 'GetSandboxProviderEnvironment';

/** gRPC's table of methods for a package name, `openshell.v1` upstream. */
export function openshellMethods(packageName: string): Readonly<Record<string, RawMethod>> {
  return {
    [OPERATION]: rawMethod(`/${packageName}.OpenShell/${OPERATION}`, { request: false, response: true }),
  };
}

export interface OpenShellOptions {
  readonly calls: Calls;
  readonly service: ResolverService;
  readonly views: OpenShellViews;
  readonly sandboxId: string;
}

/** The response is the resolver's own message: fields 1 to 6 are OpenShell's, and a protobuf reader skips the others. */
export function openshellImplementation(options: OpenShellOptions): RawImplementation {
  const { calls, service, views, sandboxId } = options;
  return {
    [OPERATION]: calls.unary(OPERATION, (connection, bytes) => {
      const request = parse(OPERATION, () => fromBinary(GetSandboxProviderEnvironmentRequestSchema, bytes));
      if (request.sandboxId !== sandboxId) refuse({ kind: 'sandbox-not-ours' });
      const providers = service.providersFor(connection, []);
      // Every credential is bound to endpoints. A caller that does not know bindings would hand it to any
      // destination, so it gets an environment without credentials, as upstream does.
      const view = views.of(calls.snapshot(), request.supportsStaticCredentialBindings ? providers : []);
      refuseIfRequiredIsMissing(view);
      if (view.requiredButWithheld !== undefined) {
        const { credential, rule } = view.requiredButWithheld;
        const { provider, key } = credential;
        refuse({ kind: 'required-credential-refused', provider, key, reason: rule });
      }
      service.served(OPERATION, connection, view);
      return view.bytes;
    }),
  };
}
