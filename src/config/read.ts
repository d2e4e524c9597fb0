/** Files of the configuration → YAML, or what is wrong with them. */
import { join } from 'node:path';
import { DEFAULT_PROVIDERS_DIR } from '../domain/default-paths.ts';
import { ConfigError, type ConfigIssue, errorCode } from '../domain/errors.ts';
import { ConfigFiles } from './files.ts';
import { parseYaml, wholeFile, type YamlSource } from './yaml-source.ts';

/** Every document of a file. Throws {@link ConfigError} where it cannot be read or is not YAML. */
export function readYaml(file: string, files = new ConfigFiles()): YamlSource[] {
  return parseYaml(file, readFile(file, files));
}

/** The text of a file. Throws {@link ConfigError} where it cannot be read. */
export function readFile(file: string, files = new ConfigFiles()): string {
  try {
    return files.readText(file);
  } catch (error) {
    throw wholeFile(
      file,
      `cannot be read: ${errorCode(error)}`,
      'check the path, and that this user may read it',
    );
  }
}

/** Files of the folder that `field` of the configuration names. An issue does not repeat the folder: its place shows it. */
export function yamlFiles(
  files: ConfigFiles,
  directory: string,
  config: YamlSource,
  field: 'providersDir' | 'profilesDir',
  issues: ConfigIssue[],
): string[] {
  try {
    return files.list(directory).map((name) => join(directory, name));
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
