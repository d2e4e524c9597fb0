/** What the credential driver's part of the configuration comes to. */
import type {
  Caller,
  PartSettings,
  PartSlot,
  ReferenceRule,
  SecretReference,
  SocketSettings,
} from '../../config/config.ts';
import { CommandError, ExitCode } from '../../domain/errors.ts';
import type { ServeOptions } from '../consumer.ts';

/** What a user may write behind `secret-resolver://`. */
export const REFERENCE_NAME = /^[a-zA-Z0-9]([-._a-zA-Z0-9]{0,126}[a-zA-Z0-9])?$/;

/** What a workspace of a gateway may refer to; each Secret by its full name, for all of them are mounted. */
export interface GatewayWorkspace {
  readonly name: string;
  readonly secrets: readonly ReferenceRule[];
  readonly names: ReadonlyMap<string, SecretReference>;
}

export interface GatewaySettings extends PartSettings {
  readonly socket: SocketSettings;
  /** Without providers: a driver knows none. */
  readonly callers: readonly Caller[];
  /** Where the keys are that seal handles. The first makes new ones; each opens those that it made. */
  readonly handleKeys: readonly SecretReference[];
  readonly workspaces: readonly GatewayWorkspace[];
  /** Environment names of each credential that a profile requires: one of them must have a value. */
  readonly required: readonly (readonly string[])[];
  readonly mayRead: readonly ReferenceRule[];
  /** Whether `--gateway-driver` asked for it. */
  readonly enabled: boolean;
}

export const gatewaySlot: PartSlot<GatewaySettings> = {
  field: 'gatewayDriver',
  // Without a driver in the next configuration nobody is listed and nothing may be referred to; the socket stays.
  keep: (current, next) =>
    current && { ...(next ?? { ...current, ...NOTHING_ALLOWED }), socket: current.socket },
};

const NOTHING_ALLOWED = {
  callers: [],
  handleKeys: [],
  workspaces: [],
  required: [],
  mayRead: [],
  secrets: [],
};

/** Throws CommandError where the options of `serve` cannot be met. */
export function refuseGatewayOptions(settings: unknown, { gatewayDriver, bindSocket }: ServeOptions): void {
  if (gatewayDriver !== true && bindSocket !== undefined)
    throw new CommandError('--bind-socket needs --gateway-driver', ExitCode.usage);
  if (gatewayDriver === true && settings === undefined)
    throw new CommandError(
      '--gateway-driver: the configuration has no gatewayDriver (write {socket, callers, handleKey, workspaces})',
      ExitCode.usage,
    );
}

/** What `--gateway-driver` and `--bind-socket` make of the settings. */
export function configureGateway(settings: unknown, options: ServeOptions): GatewaySettings | undefined {
  const configured = settings as GatewaySettings | undefined;
  const { gatewayDriver, bindSocket } = options;
  if (gatewayDriver !== true || configured === undefined) return configured;
  return {
    ...configured,
    enabled: true,
    secrets: configured.mayRead,
    ...(typeof bindSocket === 'string' && { socket: { ...configured.socket, path: bindSocket } }),
  };
}
