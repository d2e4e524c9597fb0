/** Clients in other languages, on other gRPC stacks, against the real `serve`. */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { appendFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'vitest';
import { connect } from '../../src/client/index.ts';
import { startServe, until } from '../support/cli.ts';
import { ARTIFACTS, newSecret } from '../support/secrets.ts';
import { Workspace } from '../support/workspace.ts';
import { Tap } from './tap.ts';
import { type Command, TOOLCHAINS, type Toolchain } from './toolchains.ts';

/** Rotations before the idle period, in which the client only pings; one more happens in the middle of it. */
const ROTATIONS = 10;
/** How long a client stays connected, in seconds: six of its pings. */
const HOLD_S = 60;
const TIMEOUT_MS = 300_000 + HOLD_S * 1000;

const PROVIDER = 'nvbugs';
const present: Toolchain[] = [];
const absent: string[] = [];
for (const toolchain of TOOLCHAINS) {
  const missing = await toolchain.missing();
  if (missing === undefined) present.push(toolchain);
  else absent.push(`${toolchain.name} (no ${missing})`);
}
console.log(
  `interop: running ${present.map(({ name }) => name).join(', ') || 'nothing'}; ` +
    `left out: ${absent.join(', ') || 'nothing'}`,
);

describe.skipIf(present.length === 0)('foreign clients', () => {
  it.concurrent.each(present)(
    '$name: a snapshot, ten rotations, a minute of pings with a rotation in it, all on one connection',
    { timeout: TIMEOUT_MS },
    async (toolchain) => {
      const command = await toolchain.build();
      using workspace = new Workspace();
      workspace.writeBulkProvider(PROVIDER, 'credentials');
      const secret = workspace.secret('credentials');
      let data = { GITLAB_TOKEN: newSecret(), NPM_TOKEN: newSecret() };
      secret.write(data);
      await using serve = await startServe(workspace.configFile);
      using tap = new Tap(join(workspace.root, 'tap.sock'), workspace.socket);
      const client = new ForeignClient(toolchain, command, join(workspace.root, 'tap.sock'));
      try {
        const began = performance.now();
        await client.line(/^snapshot [1-9]\d* GITLAB_TOKEN,NPM_TOKEN$/m);
        for (let rotation = 1; rotation <= ROTATIONS; rotation++) {
          data = { ...data, GITLAB_TOKEN: newSecret() };
          secret.write(data);
          await client.line(new RegExp(`^rotation ${rotation} [1-9]\\d* GITLAB_TOKEN$`, 'm'));
        }
        await client.line(installed('GITLAB_TOKEN', data.GITLAB_TOKEN, client.nonce));
        await client.line(installed('NPM_TOKEN', data.NPM_TOKEN, client.nonce));

        await until(
          () => client.exitCode !== undefined || performance.now() - began > HOLD_S * 500,
          HOLD_S * 1000,
        );
        // In the idle period: one key changes, the other is revoked.
        const last = newSecret();
        secret.write({ GITLAB_TOKEN: last });
        const [, revision] = await client.line(/^rotation 11 ([1-9]\d*) GITLAB_TOKEN,NPM_TOKEN$/m);
        await client.line(installed('GITLAB_TOKEN', last, client.nonce));
        using observer = connect({ socket: workspace.socket });
        await until(async () => {
          const { watchers } = await observer.getStatus();
          return watchers.some((watcher) => String(watcher.acknowledgedRevision) === revision);
        });

        await until(
          () => client.exitCode !== undefined,
          HOLD_S * 1000,
          () => client.story(),
        );
        if (client.exitCode !== 0) throw new Error(client.story());
        await client.line(/^done 11$/m);
        // Six are due in a minute; a gRPC implementation may skip one while data flows.
        if (tap.pings < 4) throw new Error(`only ${tap.pings} pings were seen in ${HOLD_S} s`);
        if (tap.connections !== 1)
          throw new Error(`${tap.connections} connections were made; one was to last`);
        if (serve.child.exitCode !== null) throw new Error('serve did not survive the client');
      } finally {
        client.end();
      }
    },
  );
});

/** The line that a client prints for an installed credential. */
function installed(name: string, value: string, nonce: string): RegExp {
  const digest = createHash('sha256').update(`${nonce}\0${value}`).digest('hex');
  return new RegExp(
    `^credential ${name} ${PROVIDER} [0-9a-f]{64} gitlab\\.example\\.com:443 ${digest}$`,
    'm',
  );
}

/** A running foreign client. Its output is kept for the leak search. */
class ForeignClient {
  readonly nonce = `nonce-${process.pid}-${performance.now()}`;
  exitCode: number | undefined;
  #output = '';
  readonly #name: string;
  readonly #end: () => void;

  constructor({ name, authority }: Toolchain, { program, args, env }: Command, socket: string) {
    this.#name = name;
    const flags = ['--socket', socket, '--authority', authority];
    const child = spawn(
      program,
      [...args, ...flags, '--rotations', `${ROTATIONS + 1}`, '--hold', `${HOLD_S}`],
      {
        env: { PATH: process.env.PATH ?? '', INTEROP_NONCE: this.nonce, ...env },
        stdio: ['ignore', 'pipe', 'pipe'],
      },
    );
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        this.#output += text;
        appendFileSync(join(ARTIFACTS, `interop-${name}.log`), text);
      });
    }
    child.once('error', (error) => {
      this.#output += error.message;
      this.exitCode = -1;
    });
    child.once('close', (code, signal) => {
      this.#output += signal === null ? '' : `\nended by ${signal}`;
      this.exitCode = code ?? -1;
    });
    this.#end = () => child.kill('SIGKILL');
  }

  /** Waits for a line. On timeout, throws with all output of the client. */
  async line(pattern: RegExp): Promise<RegExpExecArray> {
    await until(
      () => pattern.test(this.#output) || this.exitCode !== undefined,
      10_000,
      () => `no line ${pattern}; ${this.story()}`,
    );
    const match = pattern.exec(this.#output);
    if (match === null) throw new Error(`no line ${pattern}; ${this.story()}`);
    return match;
  }

  story(): string {
    return `the ${this.#name} client (exit code ${this.exitCode ?? 'none yet'}) wrote:\n${this.#output}`;
  }

  end(): void {
    if (this.exitCode === undefined) this.#end();
  }
}
