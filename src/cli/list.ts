import { Command } from 'commander';
import { printable } from '../domain/printable.ts';
import { wrapped } from '../domain/wrapped.ts';
import { CredentialState, type ListCredentialsResponse } from '../gen/secretresolver/v1/resolver_pb.ts';
import { REMEDIES, type RefusalReason } from '../snapshot/refusal.ts';
import { CALLER_HELP, socketOption, withClient } from './caller.ts';
import type { CommandContext } from './context.ts';
import { colour, groupedTables, type OutputFormat, outputOption, print, until } from './output.ts';
import { examples } from './program.ts';

export function createCommand(context: CommandContext): Command {
  return new Command('list')
    .description('list the credentials that this user may see, with state and reason; never a value')
    .addOption(socketOption())
    .addOption(outputOption())
    .addHelpText('after', CALLER_HELP + examples('secret-resolver list', 'secret-resolver list -o wide'))
    .action(async (options: { socket: string; output: OutputFormat }) => {
      const { credentials } = await withClient(options, (client) => client.listCredentials());
      print(context, options.output, credentials.map(plainListed), (wide) =>
        table(context, credentials, wide),
      );
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
    endpoints: credential.endpoints.map(({ host, port, path, plainHttp }) => ({
      host,
      port,
      path,
      tls: !plainHttp,
    })),
  };
}

/** The destinations of a provider's credentials, `host:port/path` each; `http://` where it is not TLS. */
export function destinations(credentials: readonly Pick<Listed, 'endpoints'>[]): string[] {
  const texts = credentials.flatMap(({ endpoints }) =>
    endpoints.map(({ host, port, path, plainHttp }) => `${plainHttp ? 'http://' : ''}${host}:${port}${path}`),
  );
  return [...new Set(texts)];
}

function table(context: CommandContext, credentials: readonly Listed[], wide: boolean): string {
  const now = Date.now();
  const state = ({ reason }: Listed) =>
    reason === '' ? colour(context, 'green', 'served') : colour(context, 'red', reason);
  const footnote = credentials.some(({ required }) => required) ? '\n* required\n' : '';
  const rows = groupedTables(
    credentials,
    wide,
    ({ provider }) => provider,
    [
      ['provider', ({ provider }) => provider, 'wide'],
      ['key', ({ key, required }) => (required ? `${key} *` : key)],
      ['state', state],
      ['expires', ({ expiresAtMs }) => until(expiresAtMs, now)],
      ['secret', (credential) => plainListed(credential).reference, 'wide'],
      ['fingerprint', ({ fingerprint }) => fingerprint || '-', 'wide'],
      ['endpoints', (credential) => destinations([credential]).join(',') || '-', 'wide'],
    ],
    destinations,
  );
  return rows + footnote + advice(credentials, wide);
}

/** For each reason what to do, and the Secrets concerned. A reason that this version does not know has no advice. */
function advice(credentials: readonly Listed[], wide: boolean): string {
  const shown = (line: string) => `${wide ? printable(line) : wrapped(printable(line), 4)}\n`;
  const refused = Map.groupBy(
    credentials.filter(({ reason }) => reason !== ''),
    ({ reason }) => reason,
  );
  return [...refused]
    .toSorted(([one], [other]) => one.localeCompare(other))
    .map(([reason, members]) => {
      const todo: string | undefined = REMEDIES[reason as RefusalReason];
      const secrets = new Set(members.map((credential) => shown(`  ${plainListed(credential).reference}`)));
      return `\n${shown(`${reason}${todo === undefined ? '' : `: ${todo}`}`)}${[...secrets].join('')}`;
    })
    .join('');
}
