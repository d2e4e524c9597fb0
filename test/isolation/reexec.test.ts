import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { startFlags } from '../../src/isolation/reexec.ts';
import { ARTIFACTS } from '../support/secrets.ts';

const FIXTURE = join(import.meta.dirname, 'fixtures/reexec-child.ts');
const SOCKET = '/tmp/secret-resolver-reexec/own/resolver.sock';

interface Became {
  readonly pid: number;
  readonly execArgv: string[];
  readonly argv: string[];
  readonly environment: string[];
  readonly caught: string;
}

function start(nodeFlags: string[], ...args: string[]): ChildProcessWithoutNullStreams {
  return spawn(process.execPath, [...nodeFlags, FIXTURE, SOCKET, ...args], {
    env: { PATH: '/usr/bin', MARK: 'kept' },
  });
}

async function firstLine(child: ChildProcessWithoutNullStreams): Promise<Became> {
  let text = '';
  for await (const chunk of child.stdout.setEncoding('utf8').iterator({ destroyOnReturn: false })) {
    text += chunk;
    if (text.includes('\n')) break;
  }
  appendFileSync(join(ARTIFACTS, 'reexec.txt'), text);
  return JSON.parse(text) as Became;
}

describe('reexecOnce', () => {
  const flags = startFlags({ socket: { path: SOCKET }, audit: { path: undefined } });

  it('becomes itself under the start flags, in the same process, with argv and environment as they were', async () => {
    const child = start([], '0');
    const became = await firstLine(child);
    expect(became.pid).toBe(child.pid);
    expect(became.execArgv).toEqual(flags);
    expect(became.argv).toEqual([SOCKET, '0']);
    expect(became.environment).toEqual(['MARK', 'PATH']);
    await once(child, 'close');
  });

  it('keeps flags that it was started with', async () => {
    const child = start(['--no-deprecation'], '0');
    expect((await firstLine(child)).execArgv).toEqual([...flags, '--no-deprecation']);
    await once(child, 'close');
  });

  it('passes the exit code on', async () => {
    const child = start([], '7');
    child.stdout.resume();
    const [code] = await once(child, 'close');
    expect(code).toBe(7);
  });

  it('is reached by signals, and says nothing on stderr', async () => {
    const child = start([], '9', 'wait');
    let stderr = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
    });
    await firstLine(child);
    child.kill('SIGTERM');
    const [code] = await once(child, 'exit');
    expect(code).toBe(9);
    expect(stderr).toBe('');
  });

  it('stays as it is on SIGUSR1, which has no handler any more that could open the inspector', async () => {
    const child = start([], '9', 'wait');
    let stderr = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
    });
    const SIGUSR1_BIT = 9n;
    expect((BigInt(`0x${(await firstLine(child)).caught}`) >> SIGUSR1_BIT) & 1n).toBe(0n);
    child.kill('SIGUSR1');
    await delay(300);
    child.kill('SIGTERM');
    const [code] = await once(child, 'exit');
    expect(code).toBe(9);
    expect(stderr).not.toContain('Debugger');
  });
});

describe('startFlags', () => {
  it('allows writing to the folder of the socket and to the audit file, and nowhere else', () => {
    const flags = startFlags({ socket: { path: '/run/r/own/r.sock' }, audit: { path: '/a/b' } });
    expect(flags.filter((flag) => flag.startsWith('--allow-fs-write'))).toEqual([
      '--allow-fs-write=/run/r/own',
      '--allow-fs-write=/run/r/own/*',
      '--allow-fs-write=/a/b',
    ]);
  });

  it('leaves out what Node 24 does not know', () => {
    const config = { socket: { path: '/run/r/own/r.sock' }, audit: { path: undefined } };
    expect(startFlags(config, 24)).not.toContain('--allow-net');
    expect(startFlags(config, 26)).toContain('--allow-net');
  });
});
