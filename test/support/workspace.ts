/** The folder of one test, with configuration, providers, Secrets and socket. Removed at the end. */
import { randomBytes } from 'node:crypto';
import { chmodSync, mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { removeWithUs } from './leftovers.ts';
import { SecretVolume } from './secret-volume.ts';
import { registerSecret } from './secrets.ts';

export const NAMESPACE = 'tenant-nvbugs-prod';
export const SANDBOX = { id: 'sandbox-0001', name: 'nvbugs', namespace: NAMESPACE };
export const ENDPOINTS = [{ host: 'gitlab.example.com', port: 443 }];

export interface WorkspaceConfig {
  readonly [field: string]: unknown;
}

export class Workspace implements Disposable {
  readonly root: string;
  readonly configFile: string;
  readonly socket: string;
  readonly secretsRoot: string;
  readonly #remove: () => void;

  constructor() {
    this.root = mkdtempSync(join(tmpdir(), 'msr-'));
    this.#remove = removeWithUs(this.root);
    // Other UIDs of the test reach their files through it; each part has its own mode.
    chmodSync(this.root, 0o755);
    this.configFile = join(this.root, 'config.yaml');
    this.secretsRoot = join(this.root, 'secrets');
    this.socket = join(this.root, 'run', 'socket', 'resolver.sock');
    mkdirSync(join(this.root, 'run'), { mode: 0o777 });
    chmodSync(join(this.root, 'run'), 0o777);
    mkdirSync(join(this.root, 'providers'));
    mkdirSync(join(this.root, 'profiles'));
    this.writeConfig({});
  }

  /** Writes the configuration: one caller with our own UID unless `overrides` says otherwise. */
  writeConfig(overrides: WorkspaceConfig): void {
    const config = {
      sandbox: SANDBOX,
      secretsRoot: this.secretsRoot,
      providersDir: join(this.root, 'providers'),
      profilesDir: join(this.root, 'profiles'),
      socket: { path: this.socket, mode: '0666' },
      callers: [{ name: 'supervisor', uid: process.getuid?.() ?? 0, providers: ['*'] }],
      // The user who runs the tests is the caller; the agent is a different user.
      agent: { uid: process.getuid?.() === 1000 ? 1001 : 1000 },
      ...overrides,
    };
    writeFileSync(this.configFile, stringify(config));
  }

  /** Writes the configuration with a gateway driver for workspaces, each with its Secrets, and the key of its handles. */
  writeGatewayConfig(
    socket: string,
    workspaces: Readonly<Record<string, readonly string[]>>,
    {
      uid = process.getuid?.() ?? 0,
      mode = '0660',
      ...more
    }: { uid?: number; mode?: string; agent?: object } = {},
  ): void {
    this.secret('seal').write({ key: registerSecret(randomBytes(32)) });
    this.writeConfig({
      gatewayDriver: {
        socket: { path: socket, mode },
        callers: [{ name: 'gateway', uid }],
        handleKey: { name: 'seal', key: 'key' },
        workspaces: Object.entries(workspaces).map(([name, secrets]) => ({
          name,
          secrets: secrets.map((secret) => ({ name: secret })),
        })),
      },
      ...more,
    });
  }

  writeProvider(file: string, provider: WorkspaceConfig | string): void {
    writeFileSync(
      join(this.root, 'providers', file),
      typeof provider === 'string' ? provider : stringify({ provider }),
    );
  }

  writeProfile(file: string, profile: WorkspaceConfig): void {
    writeFileSync(join(this.root, 'profiles', file), stringify(profile));
  }

  /** A provider that takes every key of a Secret. */
  writeBulkProvider(name: string, secret: string): void {
    this.writeProvider(`${name}.yaml`, {
      name,
      type: 'custom',
      endpoints: ENDPOINTS,
      credentialsFrom: [
        { source: { type: 'kubernetesSecret', namespace: NAMESPACE, name: secret }, mode: 'allKeys' },
      ],
    });
  }

  secret(name: string, namespace = NAMESPACE): SecretVolume {
    return new SecretVolume(join(this.secretsRoot, namespace, name));
  }

  [Symbol.dispose](): void {
    this.#remove();
  }
}
