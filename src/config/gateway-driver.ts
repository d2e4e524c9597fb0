/** The credential driver's part of the configuration, and what a schema cannot find wrong in it. */
import type { ConfigIssue } from '../domain/errors.ts';
import { shownName } from '../domain/shown-name.ts';
import type { GatewayDriver, Sandbox, SocketSettings } from './config.ts';
import type { RawConfig, RawGatewayDriver } from './schema.ts';
import type { YamlSource } from './yaml-source.ts';

export function socketSettings(raw: RawConfig['socket']): SocketSettings {
  return { path: raw.path, mode: Number.parseInt(raw.mode, 8), gid: raw.gid };
}

export function gatewayDriverFrom(raw: RawGatewayDriver, sandbox: Sandbox): GatewayDriver {
  const { handleKey } = raw;
  const keys = handleKey.previousKey === undefined ? [handleKey.key] : [handleKey.key, handleKey.previousKey];
  return {
    socket: socketSettings(raw.socket),
    callers: raw.callers.map(({ name, uid, gid, exe }) => ({ name, uid, gid, exe, providers: [] })),
    handleKeys: keys.map((key) => ({
      namespace: handleKey.namespace ?? sandbox.namespace,
      name: handleKey.name,
      key,
    })),
    workspaces: raw.workspaces.map(({ name, secrets }) => ({
      name,
      secrets: secrets.map((secret) => ({
        namespace: secret.namespace ?? sandbox.namespace,
        name: secret.name,
        keys: secret.keys,
      })),
    })),
  };
}

/** Mistakes that would let one workspace speak for another, or a user read the key that seals all handles. */
export function gatewayDriverIssues(
  source: YamlSource,
  raw: RawGatewayDriver,
  mainSocket: string,
  sandbox: Sandbox,
): ConfigIssue[] {
  const issues: ConfigIssue[] = [];
  if (raw.socket.path === mainSocket) {
    issues.push(
      source.issueAt(
        ['gatewayDriver', 'socket', 'path'],
        "is the path of the resolver's own socket",
        'give the driver a socket of its own: other callers, other calls',
      ),
    );
  }
  const names = new Set<string>();
  raw.workspaces.forEach((workspace, index) => {
    const at = ['gatewayDriver', 'workspaces', index];
    if (names.has(workspace.name)) {
      issues.push(
        source.issueAt(
          [...at, 'name'],
          `${shownName(workspace.name)} is listed twice`,
          'write all its secrets in one place',
        ),
      );
    }
    names.add(workspace.name);
    workspace.secrets.forEach((secret, place) => {
      const { handleKey } = raw;
      const own = (namespace: string | undefined) => namespace ?? sandbox.namespace;
      if (secret.name !== handleKey.name || own(secret.namespace) !== own(handleKey.namespace)) return;
      issues.push(
        source.issueAt(
          [...at, 'secrets', place],
          'is the Secret of handleKey',
          'keep the key in a Secret that no workspace may refer to',
        ),
      );
    });
  });
  return issues;
}
