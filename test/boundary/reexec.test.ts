import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { ENTRY_FLAGS, startFlags } from '../../src/boundary/reexec.ts';
import { ARTIFACTS } from '../support/secrets.ts';

const FIXTURE = join(import.meta.dirname, 'fixtures/reexec-child.ts');
const SOCKET = '/tmp/secret-resolver-reexec/own/resolver.sock';

interface Became {
  readonly pid: number;
  readonly execArgv: string[];
  readonly argv: string[];
  readonly environment: string[];
  readonly caught: string;
  readonly startsOthers: boolean;
}

/** A preload that changes what the process sees of Node's permission model, as another version of Node would. */
function permissionOf(members: string): string {
  return `--import=data:text/javascript,if(process.permission)Object.assign(process.permission,${members})`;
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

  it('goes on at once where the image gave all flags, and gives the right to start others back', async () => {
    const child = start([...flags, ...ENTRY_FLAGS], '0');
    const became = await firstLine(child);
    expect(became.execArgv).toEqual([...flags, ...ENTRY_FLAGS]);
    expect(became.startsOthers).toBe(false);
    await once(child, 'close');
  });

  it('becomes itself under exactly its own flags where the image gave those of another place', async () => {
    const others = startFlags({ socket: { path: '/run/other/own/r.sock' }, audit: { path: '/run/audit' } });
    const child = start([...others, ...ENTRY_FLAGS, '--no-deprecation'], '0');
    const became = await firstLine(child);
    expect(became.pid).toBe(child.pid);
    expect(became.execArgv).toEqual([...flags, '--no-deprecation']);
    expect(became.startsOthers).toBe(false);
    await once(child, 'close');
  });

  it('takes a permitted path away that stands apart from its flag, and nothing else with it', async () => {
    const child = start(
      ['--permission', '--allow-child-process', '--allow-fs-read', '*', '--no-deprecation'],
      '0',
    );
    const became = await firstLine(child);
    expect(became.execArgv).toEqual([...flags, '--no-deprecation']);
    expect(became.argv).toEqual([SOCKET, '0']);
    await once(child, 'close');
  });

  it.each([
    ['cannot give a permission back', '{drop:undefined}'],
    ['does not give it back when told', '{drop(){}}'],
    ['says that it is still there whatever is done', '{has:()=>true,drop(){}}'],
  ])('becomes itself without the right, once, where Node %s', async (_what, members) => {
    const preload = permissionOf(members);
    const child = start([...flags, ...ENTRY_FLAGS, preload], '0');
    const became = await firstLine(child);
    expect(became.execArgv).toEqual([...flags, preload]);
    expect(became.startsOthers).toBe(false);
    await once(child, 'close');
  });

  it("stays as it is under an operator's own permissions, which forbid to be replaced", async () => {
    const own = ['--permission', '--allow-fs-read=*', '--disable-warning=ExperimentalWarning'];
    const child = start(own, '0');
    const became = await firstLine(child);
    expect(became.execArgv).toEqual(own);
    expect(became.startsOthers).toBe(false);
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
