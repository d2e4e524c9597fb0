/** `/openshell.v1.OpenShell/GetSandboxProviderEnvironment` on the resolver's socket, so that a supervisor needs only a dial. */
import { fromBinary } from '@bufbuild/protobuf';
import { partOf } from '../../config/config.ts';
import { OpenShell } from '../../gen/openshell/v1/openshell_pb.ts';
import { parse, refuse } from '../../socket/calls.ts';
import { Status } from '../../socket/grpc-status.ts';
import { unary } from '../../socket/method.ts';
import { refusalsOf } from '../../socket/refusal.ts';
import type { Consumer } from '../consumer.ts';
import { currentSnapshot, providersFor, serve } from '../environment.ts';
import { attempt } from '../self-test.ts';
import { OpenShellViews } from './openshell-views.ts';
import { openshellSlot } from './settings.ts';

const METHOD = OpenShell.method.getSandboxProviderEnvironment;
const DEFAULTS = { package: 'openshell.v1', overLimit: 'warn' } as const;

const otherSandbox = refusalsOf<{ readonly kind: 'sandbox-not-ours' }>(() => ({
  code: Status.PERMISSION_DENIED,
  details: 'no such sandbox for this caller',
}));

export const openshell: Consumer = {
  name: 'openshell',
  description: "OpenShell's call for a sandbox's environment, as its supervisor makes it",
  config: openshellSlot,
  selfTest: (sandboxId) => [attempt(METHOD, { sandboxId, supportsStaticCredentialBindings: true })],
  open: (host) => {
    const settings = () => partOf(host.config(), openshellSlot) ?? DEFAULTS;
    const views = new OpenShellViews({ ...host, rules: settings });
    host.store.subscribe((_, before) => views.retire(before));
    // The response is the resolver's own message: fields below 1000 are OpenShell's, and a protobuf reader skips the others.
    const method = unary(`${settings().package}.OpenShell`, METHOD.name, (connection, bytes) => {
      const request = parse(METHOD.name, () => fromBinary(METHOD.input, bytes));
      if (request.sandboxId !== host.config().sandbox.id) refuse(otherSandbox({ kind: 'sandbox-not-ours' }));
      const providers = providersFor(host, connection, []);
      // Every credential is bound to endpoints. A caller that does not know bindings would hand it to any
      // destination, so it gets an environment without credentials, as upstream does.
      const view = views.of(currentSnapshot(host), request.supportsStaticCredentialBindings ? providers : []);
      return serve(host, method.audited, connection, view);
    });
    return { methods: [method] };
  },
};
