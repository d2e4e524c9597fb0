/** What an editor makes of the schemas, by npm's yaml-language-server, which VS Code and Neovim run, too. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { globSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CHECKOUT, NODE } from '../support/checkout.ts';
import { endWithUs } from '../support/leftovers.ts';

const require = createRequire(import.meta.url);

interface Position {
  readonly line: number;
  readonly character: number;
}
interface Diagnostic {
  readonly message: string;
  readonly range: { readonly start: Position };
}
interface Completions {
  readonly items: readonly {
    readonly label: string;
    readonly documentation?: string | { readonly value: string };
  }[];
}
interface Message {
  readonly id?: number;
  readonly method?: string;
  readonly params?: { readonly uri: string; readonly diagnostics: Diagnostic[]; readonly items?: unknown[] };
  readonly result?: unknown;
}

/** The server on its standard streams. */
class LanguageServer implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #answers = new Map<number, (result: unknown) => void>();
  readonly #diagnostics = new Map<string, PromiseWithResolvers<readonly Diagnostic[]>>();
  #bytes = Buffer.alloc(0);
  #next = 1;

  constructor() {
    const program = require.resolve('yaml-language-server/bin/yaml-language-server');
    this.#child = spawn(NODE, [program, '--stdio'], { stdio: ['pipe', 'pipe', 'ignore'] });
    endWithUs(this.#child);
    this.#child.stdout?.on('data', (chunk: Buffer) => {
      this.#bytes = Buffer.concat([this.#bytes, chunk]);
      for (let end = this.#bytes.indexOf('\r\n\r\n'); end !== -1; end = this.#bytes.indexOf('\r\n\r\n')) {
        const length = Number(/Content-Length: (\d+)/.exec(this.#bytes.toString('latin1', 0, end))?.[1]);
        if (this.#bytes.length < end + 4 + length) return;
        this.#take(JSON.parse(this.#bytes.toString('utf8', end + 4, end + 4 + length)));
        this.#bytes = this.#bytes.subarray(end + 4 + length);
      }
    });
  }

  #take({ id, method, params, result }: Message): void {
    if (method === 'textDocument/publishDiagnostics')
      this.#diagnosticsOf(params?.uri ?? '').resolve(params?.diagnostics ?? []);
    // The schema store would be a request to a server of others.
    else if (method === 'workspace/configuration')
      this.#send({
        id,
        result: (params?.items ?? []).map(() => ({
          schemaStore: { enable: false },
          validate: true,
          completion: true,
        })),
      });
    else if (method !== undefined && id !== undefined) this.#send({ id, result: null });
    else if (id !== undefined) this.#answers.get(id)?.(result);
  }

  #diagnosticsOf(uri: string): PromiseWithResolvers<readonly Diagnostic[]> {
    const found = this.#diagnostics.get(uri) ?? Promise.withResolvers<readonly Diagnostic[]>();
    this.#diagnostics.set(uri, found);
    return found;
  }

  #send(message: object): void {
    const text = JSON.stringify({ jsonrpc: '2.0', ...message });
    this.#child.stdin?.write(`Content-Length: ${Buffer.byteLength(text)}\r\n\r\n${text}`);
  }

  notify(method: string, params: object): void {
    this.#send({ method, params });
  }

  request(method: string, params: object): Promise<unknown> {
    const id = this.#next++;
    const answer = new Promise((resolve) => this.#answers.set(id, resolve));
    this.#send({ id, method, params });
    return answer;
  }

  async initialize(): Promise<void> {
    const rootUri = pathToFileURL(CHECKOUT).href;
    const capabilities = { workspace: { configuration: true }, textDocument: { completion: {} } };
    await this.request('initialize', { processId: process.pid, rootUri, capabilities });
    this.notify('initialized', {});
  }

  /** Opens a text as if it were in this file, and returns its URI and what is wrong with it. */
  async open(file: string, text: string): Promise<{ uri: string; diagnostics: readonly Diagnostic[] }> {
    const uri = pathToFileURL(join(CHECKOUT, file)).href;
    const textDocument = { uri, languageId: 'yaml', version: 1, text };
    this.notify('textDocument/didOpen', { textDocument });
    return { uri, diagnostics: await this.#diagnosticsOf(uri).promise };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const ended = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await ended;
  }
}

const EXAMPLES = globSync(
  ['deploy/component/config.yaml', 'deploy/component/providers/*.yaml', 'deploy/profiles/*.yaml'],
  {
    cwd: CHECKOUT,
  },
);

let server: LanguageServer;
beforeAll(async () => {
  server = new LanguageServer();
  await server.initialize();
});
afterAll(() => server[Symbol.asyncDispose]());

const place = ({ message, range: { start } }: Diagnostic) =>
  `${start.line + 1}:${start.character + 1}: ${message}`;

describe('an editor', () => {
  it('finds nothing in the examples, each of which names its schema', async () => {
    expect(EXAMPLES.length).toBeGreaterThan(18);
    for (const file of EXAMPLES) {
      const text = readFileSync(join(CHECKOUT, file), 'utf8');
      expect(text).toMatch(/^# yaml-language-server: \$schema=(\.\.\/)+schema\/\w+\.schema\.json\n/);
      const { diagnostics } = await server.open(file, text);
      expect({ file, diagnostics: diagnostics.map(place) }).toEqual({ file, diagnostics: [] });
    }
  });

  it.each([
    [
      'deploy/component/x.yaml',
      '../schema/config',
      'agent: {uid: 1000}\ncallers:\n  - {name: a, uid: no, providers: []}\n',
      '4:20: ',
    ],
    [
      'deploy/component/y.yaml',
      '../schema/config',
      'agent: {uid: 1000}\nsecretRoot: /s\n',
      '3:1: Property secretRoot is not allowed',
    ],
    [
      'deploy/component/z.yaml',
      '../schema/provider',
      'provider:\n  name: a\n  type: custom\n  credentials:\n    TOKEN:\n      source: {type: vault, name: x, key: y}\n',
      '7:22: ',
    ],
    ['deploy/profiles/x.yaml', '../schema/profile', 'id: GitLab\n', '2:5: '],
  ])('shows a mistake in %s at its place', async (file, schema, text, expected) => {
    const { diagnostics } = await server.open(
      file,
      `# yaml-language-server: $schema=${schema}.schema.json\n${text}`,
    );
    expect(diagnostics.map(place)).toEqual([expect.stringContaining(expected)]);
  });

  it.each([
    [
      'deploy/component/c.yaml',
      '../schema/config',
      'agent: {uid: 1000}\n',
      { line: 2, character: 0 },
      'callers',
      'a list of {name, uid, gid, exe, providers}',
    ],
    [
      'deploy/component/d.yaml',
      '../schema/provider',
      'provider:\n  name: a\n  type: custom\n  credentials:\n    TOKEN:\n      ',
      { line: 6, character: 6 },
      'expiresAt',
      'an RFC 3339 time',
    ],
    [
      'deploy/component/e.yaml',
      '../schema/config',
      'log:\n  level: ',
      { line: 2, character: 9 },
      'debug',
      '',
    ],
  ])('completes %s, with the description', async (file, schema, text, position, label, words) => {
    const { uri } = await server.open(file, `# yaml-language-server: $schema=${schema}.schema.json\n${text}`);
    const { items } = (await server.request('textDocument/completion', {
      textDocument: { uri },
      position,
    })) as Completions;
    const found = items.find((item) => item.label === label);
    expect(items.map((item) => item.label)).toContain(label);
    expect(JSON.stringify(found?.documentation ?? '')).toContain(words);
  });
});
