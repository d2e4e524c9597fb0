import { Command } from 'commander';
import { CredentialState, type ListCredentialsResponse } from '../gen/secretresolver/v1/resolver_pb.ts';
import { type RefusalReason, remedy } from '../snapshot/refusal.ts';
import { CALLER_HELP, socketOption, withClient } from './caller.ts';
import type { CommandContext } from './context.ts';
import { colour, type OutputFormat, outputOption, plainTable, print, until } from './output.ts';

/** `list`: every configured credential, served or refused. */
export function createCommand(context: CommandContext): Command {
  return new Command('list')
    .description('list the credentials that this user may see, with state and reason; never a value')
    .addOption(socketOption())
    .addOption(outputOption())
    .addHelpText('after', CALLER_HELP)
    .action(async (options: { socket: string; output: OutputFormat }) => {
      const { credentials } = await withClient(options.socket, (client) => client.listCredentials());
      print(context, options.output, credentials.map(plainListed), () => table(context, credentials));
    });
}

type Listed = ListCredentialsResponse['credentials'][number];

/** A credential of the list as plain data. */
export function plainListed(credential: Listed) {
  const { namespace = '', name = '', key = '' } = credential.reference ?? {};
  return {
    provider: credential.provider,
    key: credential.key,
    state: credential.state === CredentialState.SERVED ? 'served' : 'refused',
    ...(credential.reason === '' ? {} : { reason: credential.reason }),
    required: credential.required,
    reference: `${namespace}/${name}/${key}`,
    ...(credential.expiresAtMs === 0n
      ? {}
      : { expiresAt: new Date(Number(credential.expiresAtMs)).toISOString() }),
    ...(credential.fingerprint === '' ? {} : { fingerprint: credential.fingerprint }),
    ...(credential.handle === '' ? {} : { handle: credential.handle }),
  };
}

function table(context: CommandContext, credentials: readonly Listed[]): string {
  const now = Date.now();
  const rows = plainTable(
    ['provider', 'key', 'state', 'reason', 'expires', 'secret', 'fingerprint'],
    credentials.map((credential) => {
      const plain = plainListed(credential);
      const state =
        plain.state === 'served' ? colour(context, 'green', 'served') : colour(context, 'red', 'refused');
      return [
        plain.provider,
        credential.required ? `${plain.key} (required)` : plain.key,
        state,
        credential.reason || '-',
        until(credential.expiresAtMs, now),
        plain.reference,
        credential.fingerprint || '-',
      ];
    }),
  );
  return rows + advice(credentials);
}

/** What to do about each reason, once each. A reason that this version does not know has no advice. */
function advice(credentials: readonly Listed[]): string {
  const reasons = [...new Set(credentials.flatMap(({ reason }) => reason || []))].sort();
  const lines = reasons.flatMap((reason) => {
    const todo: string | undefined = remedy(reason as RefusalReason);
    return todo === undefined ? [] : `${reason}: ${todo}\n`;
  });
  return lines.length === 0 ? '' : `\n${lines.join('')}`;
}
