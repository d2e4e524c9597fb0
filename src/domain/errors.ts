import { printable, printableLines } from './printable.ts';

/** Exit codes of the CLI. They are part of its interface: `--help` lists them. */
export const ExitCode = {
  ok: 0,
  /** A refusal: the boundary check or another check failed, or a credential was refused. */
  refused: 1,
  /** The command line or a configuration file is wrong. */
  usage: 2,
  /** No response on the socket, or the resolver is not ready. */
  unavailable: 3,
  /** A defect of this program. */
  internal: 70,
} as const;
export type ExitCode = (typeof ExitCode)[keyof typeof ExitCode];

/** One mistake in a file that a person wrote. Never quotes a value that could be a secret. */
export interface ConfigIssue {
  readonly file: string;
  /** 1-based; 0 where the issue is about the file as a whole. */
  readonly line: number;
  /** 1-based; 0 where the issue is about the file as a whole. */
  readonly column: number;
  /** Path of the field, for example `callers[0].uid`; empty if the issue is about the whole file. */
  readonly field: string;
  readonly message: string;
  /** What to write or do instead. */
  readonly hint: string;
}

/** An error whose message is shown to the user on the command line, with its exit code. */
export class CommandError extends Error {
  override readonly name: string = 'CommandError';
  readonly exitCode: ExitCode;
  constructor(message: string, exitCode: ExitCode, options?: ErrorOptions) {
    super(message, options);
    this.exitCode = exitCode;
  }
}

/** What a command that failed says on stderr. */
export function errorText({ message }: CommandError): string {
  return `secret-resolver: ${printableLines(message)}\n`;
}

/** Most issues in one message: more do not help, and a file of 1 MiB can have 100,000. */
const MAX_SHOWN_ISSUES = 100;

/** All issues of a configuration, found in one pass. */
export class ConfigError extends CommandError {
  override readonly name = 'ConfigError';
  readonly issues: readonly ConfigIssue[];
  constructor(issues: readonly ConfigIssue[]) {
    const shown = issues.slice(0, MAX_SHOWN_ISSUES).map(formatIssue);
    if (issues.length > shown.length) shown.push(`… and ${issues.length - shown.length} more`);
    super(shown.join('\n'), ExitCode.usage);
    this.issues = issues;
  }
}

/** `file:line:column: field: message (hint)`: the format that editors and terminals turn into a link. */
export function formatIssue(issue: ConfigIssue): string {
  const field = issue.field === '' ? '' : `${issue.field}: `;
  return printable(`${placeOf(issue)}: ${field}${issue.message} (${issue.hint})`);
}

export function placeOf({ file, line, column }: ConfigIssue): string {
  return line > 0 ? `${file}:${line}:${column}` : file;
}

/** The `code` of a system error (`ENOENT`), or the error's name: never its message, which may quote content. */
export function errorCode(error: unknown): string {
  if (error instanceof Error) {
    const code = (error as NodeJS.ErrnoException).code;
    return typeof code === 'string' ? code : error.name;
  }
  return 'unknown';
}

/** Codes for a lack of descriptors or memory in this process or on this machine. */
const SHORTAGES: readonly string[] = ['EMFILE', 'ENFILE', 'ENOMEM'];

/** Whether a code means that this process is short of resources, which says nothing about the requested file. */
export function isShortage(code: string): boolean {
  return SHORTAGES.includes(code);
}

/** Rethrows a shortage, so that running out of descriptors is not mistaken for "no such file". */
export function throwShortage(error: unknown): void {
  if (isShortage(errorCode(error))) throw error;
}
