/** Containers as far as the self-test's tests need them: a root file system, mounts, a UID, capabilities. Root only. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readlinkSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import type net from 'node:net';
import { join } from 'node:path';
import { CHECKOUT, CHECKOUT_FOLDERS } from '../support/checkout.ts';
import { type SecretData, SecretVolume } from '../support/secret-volume.ts';

/** Exists everywhere and is empty; in this mount namespace it is ours. */
export const BASE = '/srv';
export const REPOSITORY = CHECKOUT;

export interface Volume {
  readonly from: string;
  readonly at: string;
  readonly readOnly: boolean;
}

function mount(...words: string[]): void {
  execFileSync('mount', words, { stdio: ['ignore', 'ignore', 'inherit'] });
}

export function tmpfs(path: string, options: string): void {
  mkdirSync(path, { recursive: true });
  mount('-t', 'tmpfs', '-o', options, 'tmpfs', path);
}

function bind(from: string, to: string, readOnly: boolean): void {
  mount('--bind', from, to);
  if (readOnly) mount('-o', 'remount,bind,ro', to);
}

/** A container's root: the machine's programs, our package at /app, a /tmp of its own, the pod's /proc. Read-only. */
export function containerRoot(name: string, volumes: readonly Volume[]): string {
  const root = join(BASE, name);
  tmpfs(root, 'mode=755');
  for (const folder of ['/usr', '/bin', '/sbin', '/lib', '/lib32', '/lib64']) {
    if (!existsSync(folder)) continue;
    if (lstatSync(folder).isSymbolicLink()) {
      symlinkSync(readlinkSync(folder), join(root, folder));
    } else {
      mkdirSync(join(root, folder));
      bind(folder, join(root, folder), true);
    }
  }
  for (const folder of ['proc', 'dev', 'etc', 'run', 'var', 'app']) mkdirSync(join(root, folder));
  symlinkSync('../run', join(root, 'var/run'));
  if (existsSync('/etc/ld.so.cache')) copyFileSync('/etc/ld.so.cache', join(root, 'etc/ld.so.cache'));
  writeFileSync(join(root, 'node'), '');
  bind(process.execPath, join(root, 'node'), true);
  // Each folder for itself: the checkout may itself be made of mounts, or closed to everybody but root.
  for (const folder of CHECKOUT_FOLDERS) {
    mkdirSync(join(root, 'app', folder));
    bind(join(CHECKOUT, folder), join(root, 'app', folder), true);
  }
  copyFileSync(join(CHECKOUT, 'package.json'), join(root, 'app/package.json'));
  bind('/proc', join(root, 'proc'), false);
  for (const device of ['null', 'zero', 'urandom']) {
    writeFileSync(join(root, 'dev', device), '');
    bind(join('/dev', device), join(root, 'dev', device), false);
  }
  tmpfs(join(root, 'tmp'), 'mode=1777');
  for (const { from, at, readOnly } of volumes) {
    mkdirSync(join(root, at), { recursive: true });
    bind(from, join(root, at), readOnly);
  }
  mount('-o', 'remount,ro', root);
  return root;
}

/** A tmpfs as kubelet makes it, with its files given to a UID. */
export function kubeletVolume(name: string, content: SecretData, owner: number, mode: number): string {
  const path = join(BASE, 'volumes', name);
  tmpfs(path, 'mode=755');
  new SecretVolume(path).write(content, mode);
  execFileSync('chown', ['-R', String(owner), path]);
  return path;
}

interface StartOptions {
  readonly env: Record<string, string>;
  readonly inherit?: net.Socket | undefined;
  /** Flags of unshare besides those of the mount namespace. */
  readonly namespaces?: readonly string[];
}

/** Starts a program in a container, under a UID, with no capabilities but those named. */
export function startIn(
  root: string,
  identity: { readonly uid: number; readonly capabilities: readonly string[] },
  words: readonly string[],
  options: StartOptions,
): ChildProcess {
  const kept = identity.capabilities.map((capability) => `+${capability}`);
  const capabilities = ['-all', ...kept].join(',');
  const privileges = [
    `--reuid=${identity.uid}`,
    `--regid=${identity.uid}`,
    '--clear-groups',
    '--no-new-privs',
    `--inh-caps=${capabilities}`,
    `--ambient-caps=${capabilities}`,
    `--bounding-set=${capabilities}`,
  ];
  return spawn(
    'unshare',
    [
      ...['--mount', '--propagation', 'private', ...(options.namespaces ?? [])],
      ...[`--root=${root}`, '--wd=/', 'setpriv', ...privileges, ...words],
    ],
    {
      env: { PATH: '/usr/bin:/bin:/usr/sbin:/sbin', ...options.env },
      stdio: ['ignore', 'pipe', 'pipe', ...(options.inherit === undefined ? [] : [options.inherit])],
    },
  );
}

async function textOf(stream: NodeJS.ReadableStream | null): Promise<string> {
  let text = '';
  if (stream !== null) for await (const chunk of stream) text += String(chunk);
  return text;
}

/** How a process ended, with all that it said. */
export interface Ended {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Waits for the end of a process. */
export async function finished(child: ChildProcess): Promise<Ended> {
  const { promise, resolve } = Promise.withResolvers<number>();
  child.on('close', (code) => resolve(code ?? -1));
  const [stdout, stderr, exitCode] = await Promise.all([textOf(child.stdout), textOf(child.stderr), promise]);
  return { exitCode, stdout, stderr };
}

/** Resolves at the first line of output; rejects with what a process said that ended before. */
export async function ready(child: ChildProcess): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  let complaint = '';
  child.stderr?.on('data', (chunk) => {
    complaint += String(chunk);
  });
  child.stdout?.once('data', () => resolve());
  child.once('close', () => reject(new Error(`the victim ended: ${complaint}`)));
  return promise;
}
