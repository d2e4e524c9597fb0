/** Both packages packed and installed in empty folders, and the versions of Node.js that they must run on. */
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { execa } from 'execa';
import { CHECKOUT, NODE } from '../support/checkout.ts';
import { npmProgram } from '../support/npm.ts';

/** Beside the one of the checkout: the oldest that is supported, and what Debian users have. */
const VERSIONS = { oldest: '24.21.0', tooOld: '20.20.2' } as const;

export type NodeName = 'newest' | keyof typeof VERSIONS;

/** An empty folder with one of the packages in it. */
export interface Installed {
  readonly folder: string;
  /** What a program imports the client as. */
  readonly specifier: string;
  /** All that npm said. */
  readonly output: string;
}

export class Packages implements Disposable {
  readonly #root = mkdtempSync(join(tmpdir(), 'packages-'));
  readonly nodes: Readonly<Record<NodeName, string>> = {
    newest: NODE,
    oldest: join(this.#root, 'nodes/node_modules/oldest/bin/node'),
    tooOld: join(this.#root, 'nodes/node_modules/tooOld/bin/node'),
  };

  /** The package `node` brings a Node.js of each version; its install script fetches the one for this machine. */
  async installNodes(): Promise<void> {
    const dependencies = Object.entries(VERSIONS).map(([name, version]) => [name, `npm:node@${version}`]);
    const folder = this.#emptyFolder('nodes', {
      dependencies: Object.fromEntries(dependencies),
      allowScripts: { node: true },
    });
    await this.#npm('newest', folder, 'install');
  }

  /** Packs the client package, as `npm run pack:client` does. */
  async packClient(): Promise<string> {
    const { stdout } = await execa(NODE, [join(CHECKOUT, 'tools/pack-client/main.ts'), this.#root]);
    return stdout;
  }

  /** Packs the main package from a copy of the checkout: its script builds `dist`, which another test may be using. */
  async packMain(): Promise<string> {
    const copy = join(this.#root, 'checkout');
    const manifest = JSON.parse(readFileSync(join(CHECKOUT, 'package.json'), 'utf8')) as { files: string[] };
    const packed = manifest.files.filter((file) => !file.startsWith('!') && file !== 'dist');
    for (const file of [...packed, 'src', 'package.json', 'tsconfig.json', 'tsconfig.build.json']) {
      cpSync(join(CHECKOUT, file), join(copy, file), { recursive: true });
    }
    symlinkSync(join(CHECKOUT, 'node_modules'), join(copy, 'node_modules'));
    const { stdout } = await this.#npm('newest', copy, 'pack', '--silent', '--pack-destination', this.#root);
    return join(this.#root, stdout.split('\n').at(-1) ?? '');
  }

  async install(tarball: string, node: NodeName, specifier: string): Promise<Installed> {
    const folder = this.#emptyFolder(`${basename(tarball, '.tgz')}-${node}`, {});
    const { all = '' } = await this.#npm(node, folder, 'install', tarball);
    return { folder, specifier, output: all };
  }

  /** Runs npm, which is a program of Node.js itself, under one of the versions. */
  #npm(node: NodeName, cwd: string, ...args: readonly string[]) {
    const path = `${dirname(this.nodes[node])}:${process.env.PATH}`;
    const flags = ['--prefer-offline', '--no-audit', '--no-fund'];
    return execa(this.nodes[node], [npmProgram(), ...args, ...flags], {
      cwd,
      all: true,
      env: { PATH: path },
    });
  }

  #emptyFolder(name: string, manifest: object): string {
    const folder = join(this.#root, name);
    mkdirSync(folder);
    writeFileSync(join(folder, 'package.json'), JSON.stringify(manifest));
    return folder;
  }

  [Symbol.dispose](): void {
    rmSync(this.#root, { recursive: true });
  }
}
