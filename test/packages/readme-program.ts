/** The README's examples for supervisors as one program that runs to its end. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { CHECKOUT } from '../support/checkout.ts';

const SPECIFIER = /'mounted-secret-resolver(?:-client|\/client)'/;

/** Word for word, but for two things: which of the two packages is imported, and where the socket is. */
function examples(specifier: string): string[] {
  const readme = readFileSync(join(CHECKOUT, 'README.md'), 'utf8');
  const blocks = [...readme.matchAll(/^```ts\n(.*?)^```$/gms)].map(([, code = '']) => code);
  return blocks
    .filter((code) => SPECIFIER.test(code))
    .map((code) => code.replace(SPECIFIER, `'${specifier}'`))
    .map((code) => code.replace("'/run/secret-resolver/socket/resolver.sock'", 'process.argv[2] as string'));
}

/**
 * The examples in TypeScript. The names that they leave to the reader are parameters and functions here; `install`
 * ends the first one, which otherwise runs for as long as its supervisor.
 */
export function readmeProgram(specifier: string): string {
  const [watching = '', rewriting = '', ...others] = examples(specifier);
  if (others.length > 0) throw new Error('the README has an example that this program does not run');
  const imports = [watching, rewriting].flatMap((code) => code.match(/^import .*$/gm) ?? []);
  const body = (code: string) => code.replace(/^import .*$/gm, '');
  return `
import { createHash } from 'node:crypto';
import { agentEnvironment, BoundaryState, connect as ask, CredentialState } from '${specifier}';
import type { AgentRequest, CredentialEndpoint, OutgoingRequest, ProviderEnvironment, RefusalReason } from '${specifier}';
${imports.join('\n')}

class Done extends Error {}
const said: unknown[] = [];
const digest = (value: string | Buffer) => createHash('sha256').update(value).digest('hex');

function install(key: string, handle: string, value: Buffer, endpoints: readonly CredentialEndpoint[]): void {
  said.push({ key, handle, digest: digest(value), endpoints });
  throw new Done();
}
async function watching(): Promise<void> {
${body(watching)}
}
function rewriting(
  environment: ProviderEnvironment,
  request: AgentRequest,
  respond: (status: number, reason: RefusalReason) => void,
  send: (outgoing: OutgoingRequest) => void,
): void {
${body(rewriting)}
}
async function main(): Promise<void> {
  await watching().catch((error: unknown) => {
    if (!(error instanceof Done)) throw error;
  });
  const client = ask({ socket: process.argv[2] as string });
  const environment = await client.getProviderEnvironment();
  const [[key, placeholder] = ['', '']] = Object.entries(agentEnvironment(environment));
  const [endpoint] = environment.credentials.get(key)?.endpoints ?? [];
  for (const host of [endpoint?.host ?? '', 'evil.example.net']) {
    rewriting(
      environment,
      {
        method: 'GET',
        host,
        port: endpoint?.port ?? 0,
        tls: true,
        target: '/',
        headers: [['authorization', \`Bearer \${placeholder}\`]],
        body: undefined,
        rewriteBody: false,
      },
      (status, reason) => said.push({ status, reason }),
      ({ headers }) => said.push({ digest: digest(headers[0]?.[1].slice('Bearer '.length) ?? '') }),
    );
  }
  const { credentials } = await client.listCredentials();
  const { boundary } = await client.getStatus();
  said.push({ served: credentials[0]?.state === CredentialState.SERVED });
  said.push({ relaxed: boundary?.state === BoundaryState.RELAXED });
  said.push({ revision: typeof JSON.parse(JSON.stringify(environment)).revision });
  client.close();
  console.log(JSON.stringify(said));
}
main().catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});
`;
}
