/** The files that a configuration is read from. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ConfigError, type ConfigIssue, errorCode } from '../domain/errors.ts';
import { DEFAULT_PROVIDERS_DIR } from './schema.ts';
import { parseYaml, wholeFile, type YamlSource } from './yaml-source.ts';

/** Names of the files that are read in a folder of providers or profiles. */
export const YAML_FILE = /^[^.].*\.(ya?ml|json)$/;

/** Every document of a file. Throws {@link ConfigError} where it cannot be read or is not YAML. */
export function readYaml(file: string): YamlSource[] {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw wholeFile(
      file,
      `cannot be read: ${errorCode(error)}`,
      'check the path, and that this user may read it',
    );
  }
  return parseYaml(file, text);
}

/**
 * Files of the folder that `field` of the configuration names, in a fixed order. In a ConfigMap mount the names
 * that begin with a dot are kubelet's. The folder itself is not repeated in an issue: it stands at the place.
 */
export function yamlFiles(
  directory: string,
  config: YamlSource,
  field: 'providersDir' | 'profilesDir',
  issues: ConfigIssue[],
): string[] {
  try {
    return readdirSync(directory)
      .filter((name) => YAML_FILE.test(name))
      .sort()
      .map((name) => join(directory, name));
  } catch (error) {
    const message = `the folder cannot be read: ${errorCode(error)}`;
    const fallback = directory === DEFAULT_PROVIDERS_DIR ? ` (${directory} unless set)` : '';
    issues.push(
      config.issueAt([field], `${message}${fallback}`, 'mount the folder, or set the field to where it is'),
    );
    return [];
  }
}

/** Runs `work` and keeps its issues with the others, so that one bad file does not hide the next. */
export function collecting<T>(issues: ConfigIssue[], work: () => T): T | undefined {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    issues.push(...error.issues);
    return undefined;
  }
}
